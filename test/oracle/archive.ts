import { chmodSync, cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import type { Production } from '../fixture/production.js';
import { query, value } from '../fixture/query.js';
import { waitUntil } from '../fixture/wait-until.js';

/** What a base backup is not to hold: the server's own state, and WAL, which comes from the archive. */
const LEFT_OUT = /\/data\/(?:postmaster\.\w+|pg_wal\/(?!archive_status$).+)$/;

/** Where recovery is to end, in the words of postgresql.conf. */
export interface RecoveryTarget {
  readonly recovery_target_time: string;
  readonly recovery_target_inclusive: 'on' | 'off';
}

/** Production's base backup and WAL archive, as its operators have them, for point-in-time recovery. */
export class Archive {
  private constructor(
    private readonly production: Production,
    private readonly directory: string,
  ) {}

  /** What production is to be started with to have its archive in `directory`, which it has to own. */
  static parameters(directory: string): Record<string, string> {
    const file = `${directory}/wal/%f`;
    return { archive_mode: 'on', archive_command: `test ! -f '${file}' && cp '%p' '${file}'` };
  }

  /** Takes a base backup of production as it runs. */
  static async begin(production: Production, directory: string): Promise<Archive> {
    mkdirSync(join(directory, 'wal'), { recursive: true });
    production.ownTree(directory);
    const backup = join(directory, 'data');
    // The session that begins a backup has to end it.
    const session = new pg.Client({ connectionString: production.url() });
    await session.connect();
    await session.query(`select pg_backup_start('archive', fast => true)`);
    cpSync(production.dataDirectory, backup, { recursive: true, filter: (path) => !LEFT_OUT.test(path) });
    const { rows } = await session.query('select labelfile from pg_backup_stop(wait_for_archive => false)');
    await session.end();
    writeFileSync(join(backup, 'backup_label'), rows[0].labelfile);
    return new Archive(production, directory);
  }

  /** Answers when all WAL up to now is in the archive. */
  async complete(): Promise<void> {
    const url = this.production.url();
    const segment = await value(
      url,
      // A switch right behind another one does nothing.
      `select pg_walfile_name(pg_logical_emit_message(false, '', '')) from pg_switch_wal()`,
    );
    await query(url, 'select pg_switch_wal()');
    await waitUntil('the WAL is archived', () => existsSync(join(this.directory, 'wal', String(segment))));
  }

  /** Recovers the backup to a point in time, and answers what `read` sees there. */
  async recover<T>(target: RecoveryTarget, read: (url: string) => Promise<T>): Promise<T> {
    const copy = join(this.directory, 'recovered');
    cpSync(join(this.directory, 'data'), copy, { recursive: true });
    chmodSync(copy, 0o700);
    writeFileSync(join(copy, 'recovery.signal'), '');
    this.production.ownTree(copy);
    const recovered = await this.production.startAnother(copy, {
      ...target,
      recovery_target_action: 'promote',
      restore_command: `cp '${this.directory}/wal/%f' '%p'`,
      archive_mode: 'off',
      // So that nobody is answered before the end.
      hot_standby: 'off',
      fsync: 'off',
    });
    try {
      return await read(recovered.url);
    } finally {
      await recovered.stop();
      rmSync(copy, { recursive: true });
    }
  }
}
