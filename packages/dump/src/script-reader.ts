import type { Bytes } from './bytes.js';
import { dumpError } from './dump-errors.js';
import { type ScriptItem, ScriptScanner } from './script-scanner.js';

export interface ScriptLimits {
  /** Of the whole script, as SQL. */
  readonly dumpBytesMax: number;
  /** Of one statement; it is held in memory. */
  readonly statementBytesMax: number;
}

const NEWLINE = 10;
const RETURN = 13;
const NO_BYTES = Buffer.alloc(0);
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** Reads a script piece by piece: statements, commands to psql, and between them the data of COPY ... FROM stdin. */
export class ScriptReader {
  readonly scanner: ScriptScanner;
  readonly #pieces: AsyncIterator<Uint8Array>;
  #piece: Buffer = NO_BYTES;
  /** The same, a character for each byte. */
  #text = '';
  #at = 0;
  #bytes = 0;
  #data: 'none' | 'to come' | 'at line start' | 'within line' = 'none';

  constructor(
    script: Bytes,
    private readonly limits: ScriptLimits,
  ) {
    this.scanner = new ScriptScanner(limits.statementBytesMax);
    this.#pieces = script[Symbol.asyncIterator]();
  }

  /** Bytes that were read so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What comes next; undefined at the end. Data that nobody wanted is passed over. Throws `dump_damaged`, `dump_too_large`. */
  async next(): Promise<ScriptItem | undefined> {
    while ((await this.nextData()) !== undefined);
    for (;;) {
      const found = this.scanner.scan(this.#text, this.#at);
      if (found !== undefined) {
        this.#at = found.end;
        if (found.item.kind === 'statement' && found.item.takesData) this.#data = 'to come';
        return found.item;
      }
      this.#at = this.#text.length;
      if (!(await this.#more(NO_BYTES))) return this.scanner.finish();
    }
  }

  /** Of the statement that takes data: a piece of it; undefined at its end, which is a line with `\.`. */
  async nextData(): Promise<Buffer | undefined> {
    if (this.#data === 'none') return undefined;
    if (this.#data === 'to come') await this.#passLineEnd();
    for (;;) {
      const isLineStart = this.#data === 'at line start';
      const { end, next } = findEnd(this.#piece, this.#at, isLineStart);
      if (end > this.#at) {
        const data = this.#piece.subarray(this.#at, end);
        this.#at = end;
        this.#data = data.at(-1) === NEWLINE ? 'at line start' : 'within line';
        this.scanner.skipLines(countLines(data));
        return data;
      }
      if (next !== undefined) {
        this.#at = next;
        this.scanner.skipLines(1);
        this.#data = 'none';
        return undefined;
      }
      const held = this.#piece.subarray(this.#at);
      if (await this.#more(held)) continue;
      if (isLineStart && /^\\\.\r?$/.test(held.toString('latin1'))) {
        this.#at = this.#piece.length;
        this.#data = 'none';
        return undefined;
      }
      throw dumpError('dump_damaged', `the dump breaks off within the data at line ${this.scanner.line}`);
    }
  }

  /** Lets go of what the script comes from. */
  async close(): Promise<void> {
    await this.#pieces.return?.();
  }

  /** The data begins in the line after the statement's. */
  async #passLineEnd(): Promise<void> {
    for (;;) {
      const byte = this.#piece[this.#at];
      if (byte === undefined) {
        if (await this.#more(NO_BYTES)) continue;
        throw dumpError('dump_damaged', `the dump breaks off before the data at line ${this.scanner.line}`);
      }
      this.#at += 1;
      if (byte === NEWLINE) break;
      if (byte === RETURN || byte === 32 || byte === 9) continue;
      throw dumpError(
        'dump_refused',
        `line ${this.scanner.line}: the data of COPY ... FROM stdin begins in a line of its own`,
      );
    }
    this.scanner.skipLines(1);
    this.#data = 'at line start';
  }

  /** `held` is read again, before what comes. */
  async #more(held: Buffer): Promise<boolean> {
    const { done, value } = await this.#pieces.next();
    if (done) return false;
    let piece = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    if (this.#bytes === 0 && piece.subarray(0, 3).equals(BYTE_ORDER_MARK)) piece = piece.subarray(3);
    this.#bytes += value.byteLength;
    if (this.#bytes > this.limits.dumpBytesMax) {
      throw dumpError(
        'dump_too_large',
        `the dump has more than ${this.limits.dumpBytesMax} bytes (dumpBytesMax), not compressed`,
      );
    }
    this.#piece = held.length === 0 ? piece : Buffer.concat([held, piece]);
    this.#text = this.#piece.toString('latin1');
    this.#at = 0;
    return true;
  }
}

/**
 * Up to where there is data from `at` on, and, where it ends there, what comes behind its end. What may be the beginning of
 * the end is neither.
 */
function findEnd(
  piece: Buffer,
  at: number,
  isLineStart: boolean,
): { readonly end: number; readonly next?: number } {
  for (let from = at; ; from += 1) {
    const found = piece.indexOf('\\', from);
    if (found < 0) return { end: piece.length };
    from = found;
    if (found === at ? !isLineStart : piece[found - 1] !== NEWLINE) continue;
    const [dot, first, second] = [piece[found + 1], piece[found + 2], piece[found + 3]];
    if (dot === undefined) return { end: found };
    if (dot !== 46) continue;
    if (first === NEWLINE) return { end: found, next: found + 3 };
    if (first === undefined || (first === RETURN && second === undefined)) return { end: found };
    if (first === RETURN && second === NEWLINE) return { end: found, next: found + 4 };
  }
}

function countLines(data: Buffer): number {
  let lines = 0;
  for (let at = data.indexOf(NEWLINE); at >= 0; at = data.indexOf(NEWLINE, at + 1)) lines += 1;
  return lines;
}
