/** Node.js' own default. */
const POOL_THREADS = 4;

/** Threads for the addon's calls: as Node.js was told by its environment, or its default. */
export function poolThreads(env: NodeJS.ProcessEnv = process.env): number {
  const chosen = Number(env.UV_THREADPOOL_SIZE);
  return Number.isSafeInteger(chosen) && chosen > 0 ? chosen : POOL_THREADS;
}

/**
 * Calls that hold a thread of Node.js' pool while somebody else acts, who may need one for that: only so many at a time,
 * first come, first served, so that some are always left.
 */
export class PoolShare {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(callsMax: number) {
    this.#free = callsMax;
  }

  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await call();
    } finally {
      const next = this.#waiting.shift();
      // The turn goes from one to the next.
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}
