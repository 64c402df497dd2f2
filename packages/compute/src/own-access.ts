import type { ConnectAs } from './compute-driver.js';

export interface OwnAccessOptions {
  /** What could connect last. */
  readonly as: ConnectAs;
  readonly connectAs: readonly ConnectAs[];
  /** Of the branch as it is by now, the likeliest first. */
  readonly connectAsNow?: ((signal: AbortSignal) => Promise<readonly ConnectAs[]>) | undefined;
}

/** The role is not there any more or may not log in, the database is gone, or is closed. */
const SHUT_OUT = new Set(['28000', '3D000', '55000']);

/**
 * The way into a running compute for ourselves. Whoever works there may rename or lock the role, or drop the database,
 * that it was by: then another is looked for.
 */
export class OwnAccess {
  #as: ConnectAs;

  constructor(private readonly options: OwnAccessOptions) {
    this.#as = options.as;
  }

  get current(): ConnectAs {
    return this.#as;
  }

  /** `work` is done once with what can connect; what it throws of Postgres' when nothing can is the first error. */
  async run<T>(signal: AbortSignal, work: (as: ConnectAs) => Promise<T>): Promise<T> {
    try {
      return await work(this.#as);
    } catch (error) {
      if (!isShutOut(error)) throw error;
      return await this.#runAsAnother(signal, work, error);
    }
  }

  async #runAsAnother<T>(
    signal: AbortSignal,
    work: (as: ConnectAs) => Promise<T>,
    first: unknown,
  ): Promise<T> {
    for (const as of await this.#others(signal)) {
      try {
        const result = await work(as);
        this.#as = as;
        return result;
      } catch (error) {
        signal.throwIfAborted();
        if (!isShutOut(error)) throw error;
      }
    }
    throw first;
  }

  async #others(signal: AbortSignal): Promise<ConnectAs[]> {
    const { connectAs, connectAsNow } = this.options;
    const now = (await connectAsNow?.(signal)) ?? [];
    const before = this.#as;
    return [...now, ...connectAs].filter(
      ({ user, database }) => user !== before.user || database !== before.database,
    );
  }
}

/** Of Postgres, before a session began or in it: the work is done as a whole or not at all either way. */
function isShutOut(error: unknown): boolean {
  return error instanceof Error && 'code' in error && SHUT_OUT.has(String(error.code));
}
