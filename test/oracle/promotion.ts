import { chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { query } from '../fixture/query.js';
import type { OracleCluster } from './oracle-cluster.js';

/** The cluster goes on as its own standby, and is promoted: a new timeline. */
export async function restartAndPromote({ postgres }: OracleCluster): Promise<void> {
  await postgres.stop();
  const signal = join(postgres.dataDirectory, 'standby.signal');
  writeFileSync(signal, '');
  if (postgres.osUser.kind === 'other') chownSync(signal, postgres.osUser.uid, postgres.osUser.gid);
  await postgres.start();
  await query(
    postgres.url(),
    'select pg_promote()',
    'create table promoted as select generate_series(1, 1000) as i',
    'checkpoint',
  );
}
