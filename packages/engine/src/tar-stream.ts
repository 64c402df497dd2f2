import type { TarStream as NativeTarStream } from '../native.js';
import { awaiting } from './native-errors.js';

/** A tar archive made while it is read, in chunks of at most 1 MiB. Reads do not overlap. */
export class TarStream implements AsyncIterable<Buffer> {
  #native: NativeTarStream | undefined;

  constructor(native: NativeTarStream) {
    this.#native = native;
  }

  /** The next chunk, or undefined at the end and after `close`. */
  async next(): Promise<Buffer | undefined> {
    const native = this.#native;
    if (native === undefined) {
      return undefined;
    }
    const chunk = await awaiting(() => native.next());
    if (chunk === null) {
      this.close();
      return undefined;
    }
    return chunk;
  }

  /** Gives up the rest and lets go of what the archive was read from. */
  close(): void {
    this.#native = undefined;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    try {
      for (let chunk = await this.next(); chunk !== undefined; chunk = await this.next()) {
        yield chunk;
      }
    } finally {
      this.close();
    }
  }
}
