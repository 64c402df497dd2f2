import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { ConnectAs } from './compute-driver.js';
import { computeError } from './compute-errors.js';
import type { ComputeWal, Durability } from './compute-wal.js';
import { WAL_RECEIVER_NAME } from './configuration.js';
import { type SocketAddress, withOwnSession } from './own-session.js';
import { socketPath } from './socket-directory.js';

export interface ReceivingOptions extends SocketAddress {
  readonly wal: ComputeWal;
  readonly durability: Durability;
  readonly connectedAs: ConnectAs;
  readonly signal: AbortSignal;
}

/** How often Postgres is asked whether commits wait by now: it is so within a few milliseconds. */
const LOOK_MS = 2;

/** Superusers first: no limit of connections keeps them out. */
const ROLES = `SELECT rolname FROM pg_catalog.pg_roles WHERE rolcanlogin AND (rolsuper OR rolreplication)
  ORDER BY rolsuper DESC, rolname = current_user DESC, oid LIMIT 1`;

const STREAMS = `SELECT 1 FROM pg_catalog.pg_stat_replication
  WHERE application_name = $1 AND state = 'streaming' AND ($2 = 'async' OR sync_state = 'sync')`;

/**
 * Has a compute's WAL received. Resolves when it streams and, for `sync`, Postgres makes commits wait for it. Throws
 * `compute_without_replication_role`, and what the first connection was refused with.
 */
export async function receiveWal(options: ReceivingOptions): Promise<void> {
  const { wal, connectedAs, socketDirectory, port, signal } = options;
  const user = await withOwnSession(options, connectedAs, signal, replicationRole);
  await wal.receive({
    socketPath: socketPath(socketDirectory, port),
    user,
    applicationName: WAL_RECEIVER_NAME,
    slot: WAL_RECEIVER_NAME,
  });
  // Only that role is sure to be shown the states.
  const as = { user, database: connectedAs.database };
  await withOwnSession(options, as, signal, async (client) => {
    while ((await client.query(STREAMS, [WAL_RECEIVER_NAME, options.durability])).rowCount === 0) {
      await sleep(LOOK_MS, undefined, { signal });
    }
  });
}

async function replicationRole(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ rolname: string }>(ROLES);
  const [role] = rows;
  if (role === undefined) {
    throw computeError(
      'compute_without_replication_role',
      'no role of the branch may log in and is a superuser or has REPLICATION, so that its WAL cannot be received',
    );
  }
  return role.rolname;
}
