import { closeSync, fstatSync, mkdirSync, openSync, readSync, renameSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { type BranchEvent, branchEvent } from '@offshoot/client';

export interface EventSettings {
  /** One file; the next begins then. */
  readonly fileBytesMax: number;
  /** The oldest is removed for the next. */
  readonly filesMax: number;
}

export const eventDefaults: EventSettings = { fileBytesMax: 16 * 1024 * 1024, filesMax: 4 };

/** Which events are asked for. */
export interface EventQuery {
  /** The branch's name at the time, or its id. */
  readonly branch?: string | undefined;
  /** Of that kind only. */
  readonly event?: BranchEvent['event'] | undefined;
  /** So many, the newest. */
  readonly limit: number;
}

const CURRENT = 'events.jsonl';

/**
 * What has become of branches, one JSON document a line, in a directory of its own: `events.jsonl`, and older files
 * `events.1.jsonl` and so on, the higher the older. A line is with the system when `record` returns, so that it outlives the
 * process; a line that a crash of the machine cut is left out when it is read.
 */
export class EventLog {
  #file: number;
  #bytes: number;

  private constructor(
    private readonly dir: string,
    private readonly settings: EventSettings,
  ) {
    this.#file = openSync(join(dir, CURRENT), 'a+', 0o600);
    this.#bytes = fstatSync(this.#file).size;
    this.#endCutLine();
  }

  /** Makes the directory when it is not there. */
  static open(dir: string, settings: Partial<EventSettings> = {}): EventLog {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    return new EventLog(dir, { ...eventDefaults, ...settings });
  }

  /** Throws what the file system says. */
  record(event: BranchEvent): void {
    const line = `${JSON.stringify(event)}\n`;
    if (this.#bytes > 0 && this.#bytes + Buffer.byteLength(line) > this.settings.fileBytesMax)
      this.#turnOver();
    this.#bytes += writeSync(this.#file, line);
  }

  /** The oldest first. */
  async read({ branch, event: kind, limit }: EventQuery): Promise<BranchEvent[]> {
    const found: BranchEvent[] = [];
    for (let age = 0; age < this.settings.filesMax && found.length < limit; age += 1) {
      const wanted = (await this.#eventsOf(age)).filter(
        (event) =>
          (branch === undefined || event.branch === branch || event.branch_id === branch) &&
          (kind === undefined || event.event === kind),
      );
      found.unshift(...wanted.slice(-(limit - found.length)));
    }
    return found;
  }

  close(): void {
    closeSync(this.#file);
  }

  async #eventsOf(age: number): Promise<BranchEvent[]> {
    const file = await open(this.#path(age), 'r').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (file === undefined) return [];
    try {
      return (await file.readFile('utf8')).split('\n').flatMap((line) => parsed(line) ?? []);
    } finally {
      await file.close();
    }
  }

  #turnOver(): void {
    closeSync(this.#file);
    for (let age = this.settings.filesMax - 1; age > 0; age -= 1) {
      try {
        renameSync(this.#path(age - 1), this.#path(age));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
    // With one file only there is nothing to keep.
    this.#file = openSync(this.#path(0), this.settings.filesMax > 1 ? 'a+' : 'w+', 0o600);
    this.#bytes = 0;
  }

  #path(age: number): string {
    return join(this.dir, age === 0 ? CURRENT : `events.${age}.jsonl`);
  }

  #endCutLine(): void {
    const last = Buffer.alloc(1);
    if (this.#bytes > 0 && readSync(this.#file, last, 0, 1, this.#bytes - 1) === 1 && last[0] !== 10) {
      this.#bytes += writeSync(this.#file, '\n');
    }
  }
}

/** Undefined for what is none: a line that was cut. */
function parsed(line: string): BranchEvent | undefined {
  try {
    return branchEvent.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}
