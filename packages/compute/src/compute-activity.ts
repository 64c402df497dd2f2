import type { ComputeActivity, ConnectAs } from './compute-driver.js';
import { WAL_RECEIVER_NAME } from './configuration.js';
import { type SocketAddress, withOwnSession } from './own-session.js';

/**
 * A role that may not read statistics sees of others only that they are there: they count as sessions. The receiver of
 * our own is the one that our slot belongs to, whatever others call themselves.
 */
const SESSIONS = `SELECT count(*)::int AS sessions FROM pg_catalog.pg_stat_activity
  WHERE pid <> pg_catalog.pg_backend_pid() AND usesysid IS NOT NULL
    AND coalesce(backend_type, 'client backend') IN ('client backend', 'walsender')
    AND pid NOT IN (SELECT active_pid FROM pg_catalog.pg_replication_slots
      WHERE slot_name = $1 AND active_pid IS NOT NULL)`;

/** One session of our own, which does not count. */
export async function askActivity(
  address: SocketAddress,
  as: ConnectAs,
  signal: AbortSignal,
): Promise<ComputeActivity> {
  return withOwnSession(address, as, signal, async (client) => {
    const { rows } = await client.query<ComputeActivity>(SESSIONS, [WAL_RECEIVER_NAME]);
    return { sessions: rows[0]?.sessions ?? 0 };
  });
}
