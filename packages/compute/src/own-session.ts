import pg from 'pg';
import type { ConnectAs } from './compute-driver.js';

/** Where a Postgres listens. */
export interface SocketAddress {
  readonly socketDirectory: string;
  readonly port: number;
}

/** Runs `work` with a connection of its own, which is cut when the signal aborts; then rejects with its reason. */
export async function withOwnSession<T>(
  { socketDirectory, port }: SocketAddress,
  as: ConnectAs,
  signal: AbortSignal,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({
    host: socketDirectory,
    port,
    ...as,
    ssl: false,
    // Also keeps the options of this program's own environment out, and what a database sets for all its sessions.
    options: '-c search_path=pg_catalog -c statement_timeout=0',
    application_name: 'offshoot control',
  });
  // What goes wrong is thrown where it is waited for.
  client.on('error', () => undefined);
  const abort = () => client.connection.stream.destroy(new Error('given up'));
  signal.addEventListener('abort', abort, { once: true });
  try {
    signal.throwIfAborted();
    await client.connect();
    return await work(client);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
    // Not waited for: the session ends by itself.
    client.end().catch(() => undefined);
  }
}
