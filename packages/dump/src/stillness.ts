import type { Bytes } from './bytes.js';

/** Notices that a program does nothing: takes nothing of what there is for it, and gives nothing to who waits for it. */
export class Stillness {
  #since = performance.now();
  /** Until there is more for it, it may do nothing. */
  #hasToWait = false;

  constructor(private readonly msMax: number) {}

  /** What it is given; each piece that it takes is something done. */
  async *given(bytes: Bytes): AsyncGenerator<Uint8Array> {
    this.#hasToWait = true;
    for await (const piece of bytes) {
      this.#moves(false);
      yield piece;
      this.#moves(true);
    }
    this.#moves(false);
  }

  /** What somebody waits for it to give; `onStill`, at most once, when it has done nothing for too long meanwhile. */
  async waitFor<T>(next: Promise<T>, onStill: () => void): Promise<T> {
    this.#moves(this.#hasToWait);
    const timer = setInterval(() => {
      if (this.#hasToWait || performance.now() - this.#since < this.msMax) return;
      clearInterval(timer);
      onStill();
    }, this.msMax / 4);
    try {
      return await next;
    } finally {
      clearInterval(timer);
    }
  }

  #moves(hasToWait: boolean): void {
    this.#since = performance.now();
    this.#hasToWait = hasToWait;
  }
}
