import type { Clock } from '../sleep/clock.js';

interface Timer {
  readonly dueMs: number;
  readonly call: () => void;
}

/** Time that passes when it is told to. */
export class FakeClock implements Clock {
  #nowMs = Date.parse('2026-01-01T00:00:00Z');
  readonly #timers = new Set<Timer>();

  now(): number {
    return this.#nowMs;
  }

  after(ms: number, call: () => void): () => void {
    const timer = { dueMs: this.#nowMs + ms, call };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Timers that are still to come. */
  get pending(): number {
    return this.#timers.size;
  }

  /** As when somebody sets it: no timer hears of that. */
  set(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  /** Lets time pass, timer by timer; what each sets off comes to rest before the next. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await settled();
    for (;;) {
      const [next] = [...this.#timers].sort((a, b) => a.dueMs - b.dueMs);
      if (next === undefined || next.dueMs > untilMs) break;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.call();
      await settled();
    }
    this.#nowMs = untilMs;
  }
}

/** What promises set off has been done. Writing to the catalog is not among that. */
export async function settled(): Promise<void> {
  for (let round = 0; round < 5; round += 1) await new Promise(setImmediate);
}
