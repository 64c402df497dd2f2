import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseLsn } from '@offshoot/types';
import type { DaemonProcess } from '../fixture/daemon-process.js';
import type { Production } from '../fixture/production.js';
import { query } from '../fixture/query.js';
import { fullBackup, placeOf } from './full-backup.js';
import { PageStream } from './page-stream.js';
import { compareDirectories } from './same-directories.js';
import { askForAll } from './served.js';
import { StoppedStandby } from './stopped-standby.js';

interface Taken {
  readonly branch: string;
  readonly lsn: string;
  /** All of the branch as it begins, as files. */
  readonly directory: string;
}

/** Branches as they begin, read while production works, and later compared with a standby at the same LSNs. */
export class BranchesAndStandby {
  readonly #taken: Taken[] = [];
  /** Pages that were the same on both sides, and those that the page service was asked for. */
  pages = 0;
  served = 0;

  private constructor(
    private readonly directory: string,
    private readonly production: Production,
    private readonly standby: StoppedStandby,
  ) {}

  /** Takes the standby's base from production, which must keep its WAL from here on and is not in use yet. */
  static async begin(production: Production, directory: string): Promise<BranchesAndStandby> {
    const standby = await StoppedStandby.copyOf(production, join(directory, 'standby'));
    await query(production.url(), 'checkpoint');
    return new BranchesAndStandby(directory, production, standby);
  }

  get branches(): number {
    return this.#taken.length;
  }

  /** Once a branch that is to be compared has been made, and before the next one is. */
  async made(): Promise<void> {
    await query(this.production.url(), 'checkpoint');
  }

  /** Reads a branch as it begins, in both ways: as a backup, and page by page. Answers where these differ. */
  async take(daemon: DaemonProcess, branch: string): Promise<string[]> {
    const { base_lsn: lsn } = await daemon.client().branch(branch);
    const directory = join(this.directory, `backup-of-${branch}`);
    const place = await placeOf(daemon, branch);
    await fullBackup(place, lsn, directory);
    this.#taken.push({ branch, lsn, directory });
    using stream = await PageStream.open(place, parseLsn(lsn));
    const { pages, differences } = await askForAll(stream, directory);
    this.served += pages;
    return differences.slice(0, 20).map((difference) => `served: ${difference}`);
  }

  /** What differs between the branches and the standby. Past the first one that does, both sides stay as they are. */
  async compare(): Promise<string[]> {
    const byLsn = (a: Taken, b: Taken) => (parseLsn(a.lsn) < parseLsn(b.lsn) ? -1 : 1);
    for (const { branch, lsn, directory } of [...this.#taken].sort(byLsn)) {
      await this.standby.replayTo(lsn);
      const same = await compareDirectories(directory, this.standby.dataDirectory);
      if (same.differing > 0)
        return same.differences.map((difference) => `${branch} at ${lsn}, standby: ${difference}`);
      this.pages += same.compared;
      rmSync(directory, { recursive: true });
    }
    return [];
  }
}
