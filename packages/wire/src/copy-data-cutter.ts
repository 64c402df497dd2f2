import { backendProtocolError } from './backend-deframer.js';

/** Takes what the cutter finds; both are valid until the call returns. */
export interface CopyDataParts {
  /** The first bytes of a CopyData body, beginning with its tag byte. */
  head(head: Buffer): void;
  /** A piece of what follows the head. */
  payload(piece: Buffer): void;
}

/** Bytes of a body's head, by its tag byte; `whole` when the body is all head. */
export type HeadBytes = (tag: number) => number | 'whole';

/** Heads are gathered, so they have a limit. */
const HEAD_BYTES_MAX = 64 * 1024;

/** Cuts each CopyData body of the replication protocol into a head, gathered, and a payload, passed on in pieces. */
export class CopyDataCutter {
  readonly #headBytesOf: HeadBytes;
  readonly #parts: CopyDataParts;
  #headBytes = 0;
  #head: Buffer[] = [];

  constructor(headBytesOf: HeadBytes, parts: CopyDataParts) {
    this.#headBytesOf = headBytesOf;
    this.#parts = parts;
  }

  /** Pieces as `BackendDeframer` gives them. Throws `source_protocol_violation`. */
  copyData(piece: Buffer, offset: number, bodyBytes: number): void {
    if (offset === 0) {
      this.#begin(piece[0] as number, bodyBytes);
    }
    const inHead = Math.min(piece.length, Math.max(0, this.#headBytes - offset));
    if (inHead > 0) {
      this.#addToHead(piece.subarray(0, inHead), offset);
    }
    if (inHead < piece.length) {
      this.#parts.payload(piece.subarray(inHead));
    }
  }

  #begin(tag: number, bodyBytes: number): void {
    const headBytes = this.#headBytesOf(tag);
    this.#headBytes = headBytes === 'whole' ? bodyBytes : headBytes;
    if (this.#headBytes > Math.min(bodyBytes, HEAD_BYTES_MAX)) {
      throw backendProtocolError(
        'source_protocol_violation',
        `the server sent a replication message 0x${tag.toString(16)} of ${bodyBytes} bytes`,
      );
    }
  }

  #addToHead(piece: Buffer, offset: number): void {
    if (offset + piece.length < this.#headBytes) {
      this.#head.push(Buffer.from(piece));
      return;
    }
    const head = offset === 0 ? piece : Buffer.concat([...this.#head, piece]);
    this.#head = [];
    this.#parts.head(head);
  }
}
