import { statfs } from 'node:fs/promises';
import { Client } from 'pg';
import type { ImportSettings } from '../import/import-settings.js';
import { ReplicationConnection } from '../import/replication-connection.js';
import { probeSource } from '../import/source-probe.js';
import { askSource } from '../import/source-sql.js';
import { checkSourceUrl } from '../import/source-url.js';
import { judgeFacts, storageCheck } from './judge-facts.js';
import { failed, ok, type SourceCheck, warning } from './source-check.js';
import { readSourceFacts } from './source-facts.js';

export interface CheckSourceOptions {
  readonly url: string;
  /** Where an import would be kept. */
  readonly directory: string;
  readonly settings: Pick<ImportSettings, 'connectTimeoutMs' | 'silenceMsMax' | 'frameBytesMax'>;
  readonly signal: AbortSignal;
}

/**
 * Looks whether a source can be imported and followed, and says what would mend what stands in the way. Changes nothing
 * there. Throws `source_url_invalid`, and the signal's reason.
 */
export async function checkSource(options: CheckSourceOptions): Promise<SourceCheck[]> {
  checkSourceUrl(options.url);
  const [replication, facts] = await Promise.all([checkReplication(options), checkBySql(options)]);
  options.signal.throwIfAborted();
  return [replication, ...facts];
}

async function checkReplication({ url, settings, signal }: CheckSourceOptions): Promise<SourceCheck> {
  let connection: ReplicationConnection | undefined;
  try {
    connection = await ReplicationConnection.connect(url, settings, signal);
    await probeSource(connection);
    return ok('replication', 'it takes replication connections from here');
  } catch (error) {
    return failed('replication', wordsOf(error), ...hbaLines(url, 'replication'));
  } finally {
    connection?.close();
  }
}

async function checkBySql(options: CheckSourceOptions): Promise<SourceCheck[]> {
  const { url, settings, signal } = options;
  try {
    const facts = await askSource(url, settings, signal, readSourceFacts);
    return [
      ok('sql', 'it takes ordinary connections from here'),
      ...judgeFacts(facts),
      storageCheck(facts, await freeBytesOf(options.directory)),
    ];
  } catch (error) {
    // An import does without: what is asked by them is not looked at then.
    const found = `${wordsOf(error)}; settings cannot be looked at, and branches' connection strings name postgres`;
    return [warning('sql', found, ...hbaLines(url, 'database'))];
  }
}

async function freeBytesOf(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}

function hbaLines(url: string, what: 'replication' | 'database'): string[] {
  const parsed = new Client({ connectionString: url });
  const user = parsed.user || 'ROLE';
  const database = what === 'replication' ? 'replication' : parsed.database || user;
  return [
    '-- in pg_hba.conf of the source, with the address of the page server:',
    `-- hostssl  ${database}  ${user}  ADDRESS/32  scram-sha-256`,
    'SELECT pg_reload_conf();',
  ];
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
