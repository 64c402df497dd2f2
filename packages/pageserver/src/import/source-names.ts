import { Client } from 'pg';
import type { ImportSettings } from './import-settings.js';
import { socketOf } from './replication-connection.js';

/** Names that connection strings of the tenant's branches use by default. */
export interface SourceNames {
  /** The bootstrap superuser, whom every cluster has. */
  readonly superuser: string;
  /** Databases that can be connected to, templates left out. */
  readonly databases: readonly string[];
  /** The database that the source's connection string names. */
  readonly database: string;
}

const BOOTSTRAP_SUPERUSER_OID = 10;

/** For the last bytes to leave; nobody waits for them. */
const GOODBYE_MS_MAX = 1000;

/** Asks by ordinary SQL. A user that may only replicate cannot; then this rejects and the import does without. */
export async function readSourceNames(
  url: string,
  settings: ImportSettings,
  signal: AbortSignal,
): Promise<SourceNames> {
  signal.throwIfAborted();
  const timeouts = {
    connectionTimeoutMillis: settings.connectTimeoutMs,
    query_timeout: settings.connectTimeoutMs,
  };
  const client = new Client({ connectionString: url, ...timeouts, fallback_application_name: 'offshoot' });
  client.on('error', () => {});
  const drop = () => socketOf(client).destroy();
  signal.addEventListener('abort', drop, { once: true });
  try {
    await client.connect();
    const superuser = await client.query('SELECT rolname FROM pg_catalog.pg_roles WHERE oid = $1', [
      BOOTSTRAP_SUPERUSER_OID,
    ]);
    const databases = await client.query(
      'SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname',
    );
    return {
      superuser: superuser.rows[0].rolname,
      databases: databases.rows.map(({ datname }) => datname as string),
      database: client.database ?? 'postgres',
    };
  } finally {
    signal.removeEventListener('abort', drop);
    // Not awaited: a source that does not close its end would hold up the import.
    client.end().catch(() => {});
    setTimeout(drop, GOODBYE_MS_MAX).unref();
  }
}
