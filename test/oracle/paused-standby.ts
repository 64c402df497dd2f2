import { chmodSync, cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Production } from '../fixture/production.js';
import { query, value } from '../fixture/query.js';
import { waitUntil } from '../fixture/wait-until.js';

const PAUSE_MS_MAX = 60_000;

/** A physical standby of production that replays up to where it is told, and whose files are looked at there. */
export class PausedStandby {
  private constructor(
    private readonly production: Production,
    readonly dataDirectory: string,
  ) {}

  /** A copy of production, which is stopped meanwhile. */
  static async copyOf(production: Production, dataDirectory: string): Promise<PausedStandby> {
    await production.stop();
    cpSync(production.dataDirectory, dataDirectory, { recursive: true });
    chmodSync(dataDirectory, 0o700);
    writeFileSync(join(dataDirectory, 'standby.signal'), '');
    production.ownTree(dataDirectory);
    await production.startAgain();
    return new PausedStandby(production, dataDirectory);
  }

  /**
   * Replays production's segment files up to the first record at or behind `lsn`, writes all to the files and stops.
   * Answers the end of the last record replayed. Since the call before, production must have made a checkpoint.
   */
  async replayTo(lsn: string): Promise<string> {
    const running = await this.production.startAnother(this.dataDirectory, {
      hot_standby: 'on',
      restore_command: `cp '${this.production.dataDirectory}/pg_wal/%f' '%p'`,
      recovery_target_lsn: lsn,
      recovery_target_action: 'pause',
    });
    try {
      const isPaused = async () =>
        (await value(running.url, 'select pg_get_wal_replay_pause_state()')) === 'paused';
      await waitUntil(`the standby pauses at ${lsn}`, isPaused, PAUSE_MS_MAX);
      await this.#restartpoint(running.url);
      return String(await value(running.url, 'select pg_last_wal_replay_lsn()'));
    } finally {
      await running.stop();
    }
  }

  /** Without a new checkpoint to restart from, Postgres would write nothing. */
  async #restartpoint(url: string): Promise<void> {
    const start = () => value(url, 'select redo_lsn from pg_control_checkpoint()');
    const before = await start();
    await query(url, 'checkpoint');
    if ((await start()) === before) throw new Error(`the standby made no restartpoint behind ${before}`);
  }
}
