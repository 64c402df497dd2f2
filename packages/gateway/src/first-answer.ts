import { FRAME_HEADER_BYTES, frameLengthField } from '@offshoot/wire';

const ERROR_RESPONSE = 0x45;
/** `cannot_connect_now`: Postgres starts up, recovers from a crash, or shuts down. */
const CANNOT_CONNECT_NOW = '57P03';
/** A longer one is none of those, which Postgres words in a line. */
const ERROR_BYTES_MAX = 8192;

/** What a compute's first message says of the connection: whether it is `taken` up, with whatever result. */
export type FirstWord = 'more' | 'taken' | 'not_now';

/** The beginning of a compute's answer to a start-up packet, without a socket. */
export class FirstAnswer {
  #bytes: Buffer = Buffer.alloc(0);

  /** All that has come. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  /** `more`: it cannot be told yet. */
  push(chunk: Uint8Array): FirstWord {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    if (this.#bytes.length === 0) return 'more';
    if (this.#bytes[0] !== ERROR_RESPONSE) return 'taken';
    if (this.#bytes.length < FRAME_HEADER_BYTES) return 'more';
    const messageBytes = 1 + frameLengthField(this.#bytes, 0);
    if (messageBytes < FRAME_HEADER_BYTES || messageBytes > ERROR_BYTES_MAX) return 'taken';
    if (this.#bytes.length < messageBytes) return 'more';
    const fields = this.#bytes.toString('latin1', FRAME_HEADER_BYTES, messageBytes).split('\0');
    return fields.includes(`C${CANNOT_CONNECT_NOW}`) ? 'not_now' : 'taken';
  }
}
