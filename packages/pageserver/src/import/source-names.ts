import type { ImportSettings } from './import-settings.js';
import { askSource } from './source-sql.js';

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

/** Asks by ordinary SQL. A user that may only replicate cannot; then this rejects and the import does without. */
export async function readSourceNames(
  url: string,
  settings: Pick<ImportSettings, 'connectTimeoutMs'>,
  signal: AbortSignal,
): Promise<SourceNames> {
  return await askSource(url, settings, signal, async (client) => {
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
  });
}
