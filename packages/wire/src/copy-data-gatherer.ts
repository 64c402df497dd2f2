import { backendProtocolError } from './backend-deframer.js';

/** Puts the pieces of each CopyData body together again, for bodies that are small. */
export class CopyDataGatherer {
  readonly #bodyBytesMax: number;
  readonly #take: (body: Buffer) => void;
  #body = Buffer.alloc(0);

  /** A body given to `take` is the taker's own. */
  constructor(bodyBytesMax: number, take: (body: Buffer) => void) {
    this.#bodyBytesMax = bodyBytesMax;
    this.#take = take;
  }

  /** Pieces as `BackendDeframer` gives them. Throws `source_protocol_violation`. */
  copyData(piece: Buffer, offset: number, bodyBytes: number): void {
    if (offset === 0) {
      this.#begin(bodyBytes);
    }
    this.#body.set(piece, offset);
    if (offset + piece.length === bodyBytes) {
      this.#take(this.#body);
    }
  }

  #begin(bodyBytes: number): void {
    if (bodyBytes > this.#bodyBytesMax) {
      throw backendProtocolError(
        'source_protocol_violation',
        `the server sent a replication message of ${bodyBytes} bytes`,
      );
    }
    this.#body = Buffer.allocUnsafe(bodyBytes);
  }
}
