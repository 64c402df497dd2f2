import type { Lsn } from '@offshoot/types';

/** How far a timeline has been taken in, and who waits for it to come further. */
export class LsnProgress {
  #reached: Lsn;
  readonly #waiters = new Set<{ readonly lsn: Lsn; readonly resolve: () => void }>();

  constructor(reached: Lsn) {
    this.#reached = reached;
  }

  get reached(): Lsn {
    return this.#reached;
  }

  /** Moves on to `lsn`; going back is ignored. */
  advance(lsn: Lsn): void {
    if (lsn <= this.#reached) {
      return;
    }
    this.#reached = lsn;
    for (const waiter of this.#waiters) {
      if (waiter.lsn <= lsn) {
        this.#waiters.delete(waiter);
        waiter.resolve();
      }
    }
  }

  /** Resolves once `lsn` is reached; rejects with the signal's reason when that aborts first. */
  waitFor(lsn: Lsn, signal: AbortSignal): Promise<void> {
    if (lsn <= this.#reached) {
      return Promise.resolve();
    }
    if (signal.aborted) {
      return Promise.reject(signal.reason);
    }
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.#waiters.delete(waiter);
        reject(signal.reason);
      };
      const waiter = {
        lsn,
        resolve: () => {
          signal.removeEventListener('abort', abort);
          resolve();
        },
      };
      this.#waiters.add(waiter);
      signal.addEventListener('abort', abort, { once: true });
    });
  }
}
