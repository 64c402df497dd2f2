import { spawn } from 'node:child_process';
import { chmodSync, cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnAs } from '@offshoot/compute';
import type { Production } from '../fixture/production.js';

/** Past so long it never gets there. */
const REPLAY_MS_MAX = 120_000;

/**
 * A physical standby of production that replays up to where it is told, and whose files are looked at there. Nobody
 * connects to it: a standby whose snapshot has overflowed takes no connections, and then it does not pause either.
 */
export class StoppedStandby {
  private constructor(
    private readonly production: Production,
    readonly dataDirectory: string,
  ) {}

  /** A copy of production, which is stopped meanwhile and has to keep its WAL from then on. */
  static async copyOf(production: Production, dataDirectory: string): Promise<StoppedStandby> {
    await production.stop();
    cpSync(production.dataDirectory, dataDirectory, { recursive: true });
    chmodSync(dataDirectory, 0o700);
    writeFileSync(join(dataDirectory, 'standby.signal'), '');
    production.ownTree(dataDirectory);
    await production.startAgain();
    return new StoppedStandby(production, dataDirectory);
  }

  /**
   * Replays every record that starts before `lsn` and no other, writes all to the files and stops. Answers the end of
   * the last record's place: where the next one starts. Since the call before, production must have made a checkpoint.
   */
  async replayTo(lsn: string): Promise<string> {
    const log = await this.#replay(lsn);
    const [, next] = /recovery stopping before WAL location \(LSN\) "(\w+\/\w+)"/.exec(log) ?? [];
    if (next === undefined) throw new Error(`the standby did not stop at ${lsn}:\n${log}`);
    return next;
  }

  /** Answers what it logged. */
  async #replay(lsn: string): Promise<string> {
    const log = await this.#runToItsEnd({
      recovery_target_lsn: lsn,
      recovery_target_inclusive: 'off',
      recovery_target_action: 'shutdown',
      restore_command: `cp '${this.production.dataDirectory}/pg_wal/%f' '%p'`,
      log_checkpoints: 'on',
      // None on the way: without a newer checkpoint to restart from, the last one would write nothing.
      max_wal_size: '1TB',
      checkpoint_timeout: '1d',
    });
    if (!log.includes('restartpoint starting: shutdown'))
      throw new Error(`the standby wrote nothing at its end:\n${log}`);
    return log;
  }

  async #runToItsEnd(parameters: Readonly<Record<string, string>>): Promise<string> {
    const { dataDirectory, production } = this;
    const flags = Object.entries(parameters).flatMap(([name, text]) => ['-c', `${name}=${text}`]);
    const place = ['-D', dataDirectory, '-c', 'listen_addresses=', '-k', dataDirectory];
    const child = spawn(join(production.installation.bindir, 'postgres'), [...place, ...flags], {
      ...spawnAs(production.osUser),
      cwd: dataDirectory,
      env: { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let log = '';
    child.stderr.on('data', (chunk) => {
      log += chunk;
    });
    const timer = setTimeout(() => child.kill('SIGQUIT'), REPLAY_MS_MAX);
    const code = await new Promise((resolve) => child.once('close', resolve));
    clearTimeout(timer);
    if (code !== 0) throw new Error(`the standby ended with ${code}:\n${log}`);
    return log;
  }
}
