import { closeSync, constants, fchmodSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** When clients' statements began on a compute, to some milliseconds; undefined: there was none. */
export interface StatementTimes {
  readonly first: Date | undefined;
  readonly newest: Date | undefined;
}

/** As the preload library writes it; see its README. */
const MAGIC = 0x4f46_4653_5354_4d31n;
const FILE_BYTES = 4096;
const FIRST_AT = 8;
const NEWEST_AT = 16;

/** A new file, that nothing has put there before, even a link. */
const NEW_FILE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/**
 * In which the preload library notes when statements begin. As with the limits file, it is opened once, before anybody else
 * can get at the directory. Whoever is superuser there can write anything into it: it is only what is told of a branch.
 */
export class StatementsFile {
  #file: number | undefined;
  #last: StatementTimes = { first: undefined, newest: undefined };

  private constructor(
    readonly path: string,
    file: number,
  ) {
    this.#file = file;
  }

  /** Makes it in a compute's data directory, for whoever gets to that to write. */
  static create(dataDirectory: string): StatementsFile {
    const path = join(dataDirectory, 'offshoot/statements');
    const file = openSync(path, NEW_FILE, 0o600);
    // Whatever the umask is. The directory lets in its owner and nobody else.
    fchmodSync(file, 0o666);
    const content = Buffer.alloc(FILE_BYTES);
    content.writeBigUInt64LE(MAGIC);
    writeSync(file, content);
    return new StatementsFile(path, file);
  }

  /** As of now; after the end, as of the end. */
  read(): StatementTimes {
    if (this.#file === undefined) return this.#last;
    const content = Buffer.alloc(NEWEST_AT + 8);
    readSync(this.#file, content, 0, content.length, 0);
    this.#last = { first: timeAt(content, FIRST_AT), newest: timeAt(content, NEWEST_AT) };
    return this.#last;
  }

  close(): void {
    if (this.#file === undefined) return;
    this.read();
    closeSync(this.#file);
    this.#file = undefined;
  }
}

/** What is no time that can be written down is none. */
function timeAt(content: Buffer, at: number): Date | undefined {
  const time = new Date(Number(content.readBigUInt64LE(at)));
  return time.getTime() > 0 && time.getUTCFullYear() < 10_000 ? time : undefined;
}
