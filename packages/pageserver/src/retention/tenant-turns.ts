import type { TenantId } from '@offshoot/types';

interface Turn {
  readonly abort: AbortController;
  readonly ended: Promise<void>;
}

/** Work on tenants in the background: on each one at a time, and one more that waits. */
export class TenantTurns {
  readonly #running = new Map<TenantId, Turn>();
  readonly #waiting = new Map<TenantId, Promise<void>>();
  readonly #left = new Set<TenantId>();
  #closed = false;

  constructor(private readonly work: (tenant: TenantId, signal: AbortSignal) => Promise<void>) {}

  /** Resolves at the end of work that begins from now on; rejects with what it fails with. Cut short, it resolves too. */
  run(tenant: TenantId): Promise<void> {
    const waiting = this.#waiting.get(tenant);
    if (waiting !== undefined) return waiting;
    const before = this.#running.get(tenant)?.ended.catch(() => {});
    if (before === undefined) return this.#begin(tenant);
    const next = before.then(() => {
      this.#waiting.delete(tenant);
      return this.#begin(tenant);
    });
    this.#waiting.set(tenant, next);
    return next;
  }

  /** Cuts the work on a tenant short; none begins any more. */
  async leave(tenant: TenantId): Promise<void> {
    this.#left.add(tenant);
    const running = this.#running.get(tenant);
    running?.abort.abort();
    await Promise.allSettled([running?.ended, this.#waiting.get(tenant)]);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#running.keys()].map((tenant) => this.leave(tenant)));
  }

  #begin(tenant: TenantId): Promise<void> {
    if (this.#closed || this.#left.has(tenant)) return Promise.resolve();
    const abort = new AbortController();
    const ended = this.work(tenant, abort.signal)
      .catch((error: unknown) => {
        if (!abort.signal.aborted) throw error;
      })
      .finally(() => this.#running.delete(tenant));
    this.#running.set(tenant, { abort, ended });
    return ended;
  }
}
