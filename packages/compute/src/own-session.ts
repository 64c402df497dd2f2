import pg from 'pg';
import type { ConnectAs } from './compute-driver.js';

/** Where a Postgres listens. */
export interface SocketAddress {
  readonly socketDirectory: string;
  readonly port: number;
}

/** What databases and roles of production set for their sessions is not meant for ours. */
const OPTIONS = {
  search_path: 'pg_catalog',
  role: 'none',
  default_transaction_read_only: 'off',
  default_transaction_isolation: 'read\\ committed',
  statement_timeout: '0',
  lock_timeout: '0',
  idle_session_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  local_preload_libraries: '',
};

/** Only a superuser may set it. */
const OPTIONS_OF_SUPERUSER = { session_preload_libraries: '' };

/** undefined_file: a library that sessions there load is not here. */
const NO_SUCH_FILE = '58P01';

/** Runs `work` with a connection of its own, which is cut when the signal aborts; then rejects with its reason. */
export async function withOwnSession<T>(
  address: SocketAddress,
  as: ConnectAs,
  signal: AbortSignal,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  let state = 'connecting' as 'connecting' | 'connected';
  const run = (options: object) =>
    withSession(address, as, options, signal, (client) => {
      state = 'connected';
      return work(client);
    });
  try {
    return await run(OPTIONS);
  } catch (error) {
    if (state === 'connected' || !isOfCode(error, NO_SUCH_FILE)) throw error;
    return await run({ ...OPTIONS, ...OPTIONS_OF_SUPERUSER });
  }
}

function isOfCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

async function withSession<T>(
  { socketDirectory, port }: SocketAddress,
  as: ConnectAs,
  options: object,
  signal: AbortSignal,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({
    host: socketDirectory,
    port,
    ...as,
    ssl: false,
    // Also keeps the options of this program's own environment out.
    options: Object.entries(options)
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(' '),
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
