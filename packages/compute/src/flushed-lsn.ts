import { type Lsn, parseLsn } from '@offshoot/types';
import type { ConnectAs } from './compute-driver.js';
import { type SocketAddress, withOwnSession } from './own-session.js';

/** The page server waits for the WAL itself; what is asked for here is that it is sent, which takes a flush. */
const FLUSH_ONLY = 'SET synchronous_commit = local';

/**
 * A commit of our own, with nothing in it: flushing it flushes all before it, commits that did not wait for that
 * included. A transaction without WAL would flush nothing.
 */
const COMMIT = `SELECT pg_catalog.pg_logical_emit_message(true, 'offshoot', 'branch')::text AS lsn`;

/** An LSN behind all that was committed before the call; WAL up to it is on the compute's disk, ready to be sent. */
export async function askFlushedLsn(
  address: SocketAddress,
  as: ConnectAs,
  signal: AbortSignal,
): Promise<Lsn> {
  return withOwnSession(address, as, signal, async (client) => {
    await client.query(FLUSH_ONLY);
    const { rows } = await client.query<{ lsn: string }>(COMMIT);
    return parseLsn(rows[0]?.lsn ?? '');
  });
}
