import { controlError } from '../control-errors.js';

interface Waiter<T> {
  readonly serve: (value: T) => void;
  readonly fail: (error: unknown) => void;
}

/** Who waits for a branch to be awake. */
export class BranchWaiters<T> {
  readonly #waiters = new Set<Waiter<T>>();

  /**
   * Resolves with what `take` makes of the value in the moment in which it is there. Rejects with `open_abandoned` when
   * the signal aborts first; `withdrawn` is told of that.
   */
  add<R>(
    name: string,
    signal: AbortSignal | undefined,
    take: (value: T) => R,
    withdrawn: () => void,
  ): Promise<R> {
    return new Promise((resolve, reject) => {
      const settled = () => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener('abort', abort);
      };
      const waiter: Waiter<T> = {
        serve: (value) => {
          settled();
          resolve(take(value));
        },
        fail: (error) => {
          settled();
          reject(error);
        },
      };
      const abort = () => {
        waiter.fail(abandoned(name));
        withdrawn();
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiters.add(waiter);
    });
  }

  serveAll(value: T): void {
    for (const waiter of [...this.#waiters]) waiter.serve(value);
  }

  failAll(error: unknown): void {
    for (const waiter of [...this.#waiters]) waiter.fail(error);
  }
}

export function abandoned(name: string) {
  return controlError('open_abandoned', `nobody waits any more for branch ${name} to be awake`);
}
