import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** What a session is told that wants to write. */
export interface WriteRefusal {
  readonly message: string;
  readonly hint: string;
}

/** As the preload library reads it; see its README. */
const MAGIC = 0x4f46_4653_4c49_4d31n;
const FILE_BYTES = 4096;
const WRITES_AT = 8;
const MESSAGE_AT = 64;
const HINT_AT = 1088;
const TEXT_BYTES = 1024;
const FAREWELL_AT = 2112;

/** A new file, that nothing has put there before, even a link. */
const NEW_FILE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/**
 * What the preload library has Postgres refuse. The directory is the OS user's, who may put anything in its place while a
 * compute runs, a link to somebody else's file above all: it is opened once, before that.
 */
export class LimitsFile {
  #file: number | undefined;

  private constructor(
    readonly path: string,
    file: number,
  ) {
    this.#file = file;
  }

  /** Makes it in a compute's data directory; the directory's owner reads it and no more. */
  static create(dataDirectory: string): LimitsFile {
    const path = join(dataDirectory, 'offshoot/limits');
    const file = new LimitsFile(path, openSync(path, NEW_FILE, 0o644));
    file.#write(contentOf(undefined), 0);
    return file;
  }

  /** All processes of the compute heed it from their next statement on. */
  change(refusal: WriteRefusal | undefined): void {
    const content = contentOf(refusal);
    // The words first: they are read when the word says so.
    this.#write(content.subarray(MESSAGE_AT, FAREWELL_AT), MESSAGE_AT);
    this.#write(content.subarray(WRITES_AT, WRITES_AT + 4), WRITES_AT);
  }

  /** What sessions are told that end because the compute is shut down. */
  farewell(message: string): void {
    this.#write(textBytes(message), FAREWELL_AT);
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #write(bytes: Uint8Array, at: number): void {
    if (this.#file !== undefined) writeSync(this.#file, bytes, 0, bytes.length, at);
  }
}

function contentOf(refusal: WriteRefusal | undefined): Buffer {
  const content = Buffer.alloc(FILE_BYTES);
  // The machine's byte order, and every machine that this runs on has this one.
  content.writeBigUInt64LE(MAGIC);
  if (refusal !== undefined) {
    content.writeUInt32LE(1, WRITES_AT);
    content.set(textBytes(refusal.message), MESSAGE_AT);
    content.set(textBytes(refusal.hint), HINT_AT);
  }
  return content;
}

/** Padded, with a NUL at its end; cut at a character where it is too long. */
function textBytes(text: string): Buffer {
  const bytes = Buffer.alloc(TEXT_BYTES);
  // Writes whole characters only.
  bytes.write(text, 0, TEXT_BYTES - 1, 'utf8');
  return bytes;
}
