import { execFile } from 'node:child_process';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { resolveOsUser, resolvePostgres, ScratchPostgres } from '@offshoot/compute';
import { oracleBinary, type Report } from './report.js';
import { runWorkloadFile } from './workload-file.js';

export interface ClusterOptions {
  readonly dataChecksums: 'on' | 'off';
  readonly parameters: Readonly<Record<string, string>>;
}

/** Everything is logged with images, and no WAL is thrown away. */
const PARAMETERS = {
  wal_level: 'logical',
  wal_consistency_checking: 'all',
  full_page_writes: 'on',
  wal_keep_size: '100GB',
  track_commit_timestamp: 'on',
  max_prepared_transactions: '10',
  autovacuum: 'on',
  autovacuum_naptime: '1s',
  checkpoint_timeout: '30s',
  max_wal_size: '512MB',
  shared_buffers: '64MB',
  fsync: 'off',
  allow_in_place_tablespaces: 'on',
  deadlock_timeout: '100ms',
};

/** A Postgres whose WAL the oracle judges from the first record after initdb on. */
export class OracleCluster {
  private constructor(
    readonly directory: string,
    readonly postgres: ScratchPostgres,
  ) {}

  /** Makes it, keeps a copy of its relation files as they were before the first start, and starts it. */
  static async start(directory: string, options: ClusterOptions): Promise<OracleCluster> {
    const osUser = await resolveOsUser();
    const installation = await resolvePostgres({ cacheDirectory: join(directory, '..', 'postgres'), osUser });
    const postgres = await ScratchPostgres.create({
      directory,
      installation,
      osUser,
      dataChecksums: options.dataChecksums,
      parameters: { ...PARAMETERS, ...options.parameters },
    });
    const cluster = new OracleCluster(directory, postgres);
    for (const name of ['base', 'global'])
      cpSync(join(postgres.dataDirectory, name), join(cluster.#before, name), { recursive: true });
    await postgres.start();
    return cluster;
  }

  get #before(): string {
    return join(this.directory, 'before');
  }

  /** Runs a workload in a new database of its name. */
  async run(name: string): Promise<void> {
    await runWorkloadFile(this.postgres, name);
  }

  /** What the oracle says of all WAL up to a clean shutdown. */
  async judge(): Promise<Report> {
    await this.postgres.stop();
    const data = this.postgres.dataDirectory;
    const files = ['--base', this.#before, '--wal', join(data, 'pg_wal'), '--final', data];
    const args = ['compare', ...files, '--dump', join(this.directory, 'dump'), '--json'];
    // Exit code 1 says no more than the report.
    const { stdout } = await promisify(execFile)(oracleBinary(), args, { maxBuffer: 1 << 28 }).catch(
      (error) => {
        if (error.code === 1) return error as { stdout: string };
        throw error;
      },
    );
    return JSON.parse(stdout);
  }
}
