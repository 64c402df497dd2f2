import type { OffshootError } from '@offshoot/types';

/** How long something goes on: until it is ended, with an error that whoever waits meanwhile gets. */
export class Lifetime {
  readonly #controller = new AbortController();
  /** Rejects with what it was ended with. */
  readonly #ended: Promise<never>;

  constructor() {
    const { signal } = this;
    this.#ended = new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
    });
    this.#ended.catch(() => {});
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The first error counts. */
  end(error: OffshootError): void {
    this.#controller.abort(error);
  }

  unlessEnded<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([promise, this.#ended]);
  }

  /** Ends with the error when the work takes longer. */
  async within<T>(timeoutMs: number, late: () => OffshootError, work: () => Promise<T>): Promise<T> {
    const timer = setTimeout(() => this.end(late()), timeoutMs);
    try {
      return await work();
    } finally {
      clearTimeout(timer);
    }
  }
}
