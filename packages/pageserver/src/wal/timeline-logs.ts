import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Where a tenant's timelines keep their WAL: a directory for each, named after the timeline's index. */
export class TimelineLogs {
  readonly #dir: string;

  constructor(tenantDir: string) {
    this.#dir = join(tenantDir, 'wal');
  }

  /** The log's directory, with those above it made. */
  async prepare(index: number): Promise<string> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    return join(this.#dir, String(index));
  }

  /** Timelines that have a log. */
  async indexes(): Promise<number[]> {
    const names = await readdir(this.#dir).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') {
        return [];
      }
      throw error;
    });
    return names.filter((name) => /^\d+$/.test(name)).map(Number);
  }

  /** One that is not there is no error. */
  remove(index: number): Promise<void> {
    return rm(join(this.#dir, String(index)), { recursive: true, force: true });
  }
}
