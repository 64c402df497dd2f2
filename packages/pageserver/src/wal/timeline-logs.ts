import { access, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** At the end of the name of a log that is being removed. */
const GOING = '.going';

/** Where a tenant's timelines keep their WAL: a directory for each, named after the timeline's index. */
export class TimelineLogs {
  readonly #dir: string;

  constructor(tenantDir: string) {
    this.#dir = join(tenantDir, 'wal');
  }

  /** The log's directory, with those above it made. */
  async prepare(index: number): Promise<string> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    return this.#of(index);
  }

  async has(index: number): Promise<boolean> {
    return await access(this.#of(index)).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return false;
        throw error;
      },
    );
  }

  /** Timelines that have a log; with what is left of logs that were being removed, which is removed. */
  async indexes(): Promise<number[]> {
    const names = await readdir(this.#dir).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') {
        return [];
      }
      throw error;
    });
    const left = names.filter((name) => name.endsWith(GOING));
    await Promise.all(left.map((name) => rm(join(this.#dir, name), { recursive: true, force: true })));
    return names.filter((name) => /^\d+$/.test(name)).map(Number);
  }

  /** It is there as a whole or not at all, whatever cuts this short. One that is not there is no error. */
  async remove(index: number): Promise<void> {
    const going = `${this.#of(index)}${GOING}`;
    await rm(going, { recursive: true, force: true });
    try {
      await rename(this.#of(index), going);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw error;
    }
    await rm(going, { recursive: true, force: true });
  }

  #of(index: number): string {
    return join(this.#dir, String(index));
  }
}
