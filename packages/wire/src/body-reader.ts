import { wireError } from './wire-error.js';

const decoder = new TextDecoder('utf-8');

/** Reads fields of one message body in order. Every method throws `protocol_violation` when the body ends early. */
export class BodyReader {
  #at = 0;

  constructor(
    readonly body: Uint8Array,
    readonly messageName: string,
  ) {}

  get bytesLeft(): number {
    return this.body.length - this.#at;
  }

  /** Text up to a NUL, which is consumed too. */
  text(): string {
    const end = this.body.indexOf(0, this.#at);
    if (end < 0) {
      throw wireError('protocol_violation', `text without its end in message ${this.messageName}`);
    }
    const text = decoder.decode(this.body.subarray(this.#at, end));
    this.#at = end + 1;
    return text;
  }

  /** One character of the message, as a letter. */
  letter(): string {
    return String.fromCharCode(this.#integer(1));
  }

  uint16(): number {
    return this.#integer(2);
  }

  uint32(): number {
    return this.#integer(4);
  }

  #integer(width: number): number {
    if (this.bytesLeft < width) {
      throw wireError('protocol_violation', `message ${this.messageName} is too short`);
    }
    let value = 0;
    for (let count = 0; count < width; count++) {
      value = value * 256 + (this.body[this.#at++] ?? 0);
    }
    return value;
  }
}
