import type pg from 'pg';
import { type SocketAddress, withOwnSession } from '../own-session.js';

/**
 * Prepared transactions that have changed roles, their memberships, comments or settings, or databases: they outlive a
 * restart, and whoever changes the same waits for them.
 */
const IN_THE_WAY = `SELECT DISTINCT gid, database FROM pg_prepared_xacts p
  JOIN pg_locks l ON l.virtualtransaction = '-1/' || p.transaction
  WHERE l.locktype = 'relation' AND l.mode <> 'AccessShareLock' AND l.relation IN ('pg_authid'::regclass,
    'pg_auth_members'::regclass, 'pg_shdescription'::regclass, 'pg_db_role_setting'::regclass, 'pg_database'::regclass)`;

/**
 * Rolls them back. A branch's role could keep its own password from ever being taken back otherwise, and its branch from
 * being started.
 */
export async function rollBackRoleChanges(
  client: pg.Client,
  address: SocketAddress,
  user: string,
  signal: AbortSignal,
): Promise<void> {
  const { rows } = await client.query<{ max: string }>(
    `SELECT current_setting('max_prepared_transactions') AS max`,
  );
  if (rows[0]?.max === '0') return;
  const { rows: prepared } = await client.query<{ gid: string; database: string }>(IN_THE_WAY);
  for (const { gid, database } of prepared) {
    await withOwnSession(address, { user, database }, signal, (there) =>
      there.query(`ROLLBACK PREPARED ${there.escapeLiteral(gid)}`),
    );
  }
}
