import { defineErrors } from '@offshoot/types';

/** What a server sent that its protocol does not allow. The connection is of no more use. */
export const backendProtocolError = defineErrors({
  source_protocol_violation: { kind: 'alert', sqlState: '08P01', httpStatus: 502 },
});

/** Takes what the deframer finds, during `push`. */
export interface BackendFrames {
  /** A whole message that is not CopyData, header included; valid until the call returns. */
  frame(frame: Buffer): void;
  /** A piece of a CopyData body of `bodyBytes` bytes, of which `offset` bytes went before. Valid until the call returns. */
  copyData(piece: Buffer, offset: number, bodyBytes: number): void;
}

const HEADER_BYTES = 5;
const COPY_DATA = 0x64;

/**
 * Cuts a server's bytes into messages. CopyData passes through in pieces as it comes, neither copied nor gathered,
 * since it may be large; any other message is gathered and may have `frameBytesMax` bytes.
 */
export class BackendDeframer {
  readonly #frames: BackendFrames;
  readonly #frameBytesMax: number;
  /** A message, or its header, that began in an earlier chunk. */
  #begun = Buffer.alloc(0);
  /** Body bytes of the CopyData message under way, and how many of them have passed. */
  #bodyBytes = 0;
  #passed = 0;

  constructor(frames: BackendFrames, frameBytesMax: number) {
    this.#frames = frames;
    this.#frameBytesMax = frameBytesMax;
  }

  /** Throws `source_protocol_violation`, and whatever the taker throws; not to be used after that. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      at = this.#passed < this.#bodyBytes ? this.#pass(chunk, at) : this.#next(chunk, at);
    }
  }

  /** Passes on what `chunk` has of the CopyData message under way. */
  #pass(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#bodyBytes - this.#passed);
    const offset = this.#passed;
    this.#passed += end - at;
    this.#frames.copyData(chunk.subarray(at, end), offset, this.#bodyBytes);
    return end;
  }

  /** Begins a message at `at`; answers where what it consumed ends. */
  #next(chunk: Buffer, at: number): number {
    if (this.#begun.length > 0 || chunk.length - at < HEADER_BYTES) {
      return this.#gather(chunk, at);
    }
    const total = this.#frameBytes(chunk, at);
    if (chunk[at] === COPY_DATA) {
      this.#startCopyData(total);
      return at + HEADER_BYTES;
    }
    if (chunk.length - at < total) {
      return this.#gather(chunk, at);
    }
    this.#frames.frame(chunk.subarray(at, at + total));
    return at + total;
  }

  /** Adds to the message that began earlier: first its header, then its body. */
  #gather(chunk: Buffer, at: number): number {
    const held = this.#begun.length;
    const wanted = held < HEADER_BYTES ? HEADER_BYTES : this.#frameBytes(this.#begun, 0);
    const end = Math.min(chunk.length, at + wanted - held);
    this.#begun = Buffer.concat([this.#begun, chunk.subarray(at, end)]);
    if (this.#begun.length < HEADER_BYTES) {
      return end;
    }
    const total = this.#frameBytes(this.#begun, 0);
    if (this.#begun[0] === COPY_DATA) {
      this.#startCopyData(total);
    } else if (this.#begun.length === total) {
      this.#frames.frame(this.#begun);
    } else {
      return end;
    }
    this.#begun = Buffer.alloc(0);
    return end;
  }

  #startCopyData(total: number): void {
    this.#bodyBytes = total - HEADER_BYTES;
    this.#passed = 0;
  }

  #frameBytes(bytes: Buffer, at: number): number {
    const length = bytes.readUInt32BE(at + 1);
    const type = bytes[at] as number;
    const lengthMax = type === COPY_DATA ? 0x7fff_ffff : this.#frameBytesMax;
    if (length < 4 || length > lengthMax) {
      const name = `0x${type.toString(16)}`;
      throw backendProtocolError(
        'source_protocol_violation',
        `the server sent a message of type ${name} with a length of ${length} bytes`,
      );
    }
    return length + 1;
  }
}
