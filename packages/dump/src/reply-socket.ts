import { Socket } from 'node:net';

/** Type and length, which counts itself. */
const HEADER_BYTES = 5;
const LENGTH_BYTES = 4;
/** Rows, and what COPY ... TO stdout gives out. */
const UNWANTED: ReadonlySet<string> = new Set(['D', 'd']);
/** Errors and notices: fields of a letter and text, each with a zero behind it, and a zero behind the last. */
const WORDS: ReadonlySet<string> = new Set(['E', 'N']);
const WORDS_BYTES_MAX = 8192;
const END_OF_WORDS = Buffer.of(0, 0);

/**
 * Of what a server says, what its client wants of a load. A statement may be answered with a row or an error of a gigabyte,
 * which is more than a string can hold, and more than there is memory for: rows are left out, and long words cut off.
 */
export class Replies {
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  /** Of the message's body, what is to be handed on, what is to be dropped behind that, and what stands in its place. */
  #wanted = 0;
  #dropped = 0;
  #ending = Buffer.alloc(0);

  wanted(bytes: Buffer): Buffer {
    const kept: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      if (this.#wanted > 0) {
        const taken = bytes.subarray(at, at + this.#wanted);
        kept.push(taken);
        at += taken.length;
        this.#wanted -= taken.length;
        if (this.#wanted === 0) kept.push(this.#ending);
      } else if (this.#dropped > 0) {
        const passed = Math.min(this.#dropped, bytes.length - at);
        at += passed;
        this.#dropped -= passed;
      } else {
        const copied = bytes.copy(this.#header, this.#headerBytes, at, at + HEADER_BYTES - this.#headerBytes);
        at += copied;
        this.#headerBytes += copied;
        if (this.#headerBytes === HEADER_BYTES) kept.push(this.#begin());
      }
    }
    return Buffer.concat(kept);
  }

  /** Answers the message's header, as it is handed on. */
  #begin(): Buffer {
    const type = this.#header.toString('latin1', 0, 1);
    const length = Math.max(0, this.#header.readUInt32BE(1) - LENGTH_BYTES);
    this.#headerBytes = 0;
    this.#ending = Buffer.alloc(0);
    if (UNWANTED.has(type)) {
      this.#dropped = length;
      return Buffer.alloc(0);
    }
    const header = Buffer.from(this.#header);
    this.#wanted = length;
    if (WORDS.has(type) && length > WORDS_BYTES_MAX) {
      this.#ending = END_OF_WORDS;
      this.#wanted = WORDS_BYTES_MAX - END_OF_WORDS.length;
      this.#dropped = length - this.#wanted;
      header.writeUInt32BE(WORDS_BYTES_MAX + LENGTH_BYTES, 1);
    }
    return header;
  }
}

/** A connection to a server, without what of its replies nobody wants. */
export class ReplySocket extends Socket {
  readonly #replies = new Replies();

  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    if (!Buffer.isBuffer(chunk)) return super.push(chunk, encoding);
    const wanted = this.#replies.wanted(chunk);
    return wanted.length === 0 || super.push(wanted);
  }
}
