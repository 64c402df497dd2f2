import { Client } from 'pg';
import type { ImportSettings } from './import-settings.js';
import { socketOf } from './replication-connection.js';

/** For the last bytes to leave; nobody waits for them. */
const GOODBYE_MS_MAX = 1000;

/**
 * Puts questions to the source by ordinary SQL, on a connection that is made for them. Connecting and each question have
 * `connectTimeoutMs`; aborting `signal` breaks them off.
 */
export async function askSource<T>(
  url: string,
  { connectTimeoutMs }: Pick<ImportSettings, 'connectTimeoutMs'>,
  signal: AbortSignal,
  ask: (client: Client) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const client = new Client({
    connectionString: url,
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: connectTimeoutMs,
    fallback_application_name: 'offshoot',
  });
  client.on('error', () => {});
  const drop = () => socketOf(client).destroy();
  signal.addEventListener('abort', drop, { once: true });
  try {
    await client.connect();
    return await ask(client);
  } finally {
    signal.removeEventListener('abort', drop);
    // Not awaited: a source that does not close its end would hold up the caller.
    client.end().catch(() => {});
    setTimeout(drop, GOODBYE_MS_MAX).unref();
  }
}
