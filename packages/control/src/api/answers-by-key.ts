import { controlError } from '../control-errors.js';

interface Kept {
  readonly requestHash: string;
  readonly answer: Promise<unknown>;
  readonly until: number;
}

/** Keys that are known; the oldest are forgotten first. Answers are small and hold no secrets. */
const KEYS_MAX = 10_000;

/**
 * Does what is asked for under a key once, while this process runs: the same call again gets the same answer, and waits for
 * one that is under way. A call that failed leaves nothing behind.
 */
export class AnswersByKey {
  readonly #kept = new Map<string, Kept>();

  constructor(
    private readonly keptMs: number,
    private readonly now: () => number = () => Date.now(),
  ) {}

  /** Throws `idempotency_key_reused`, and what `work` throws. */
  async once<T>(key: string, requestHash: string, work: () => T | Promise<T>): Promise<T> {
    this.#forget();
    const kept = this.#kept.get(key);
    if (kept !== undefined) {
      if (kept.requestHash === requestHash) return kept.answer as Promise<T>;
      throw controlError(
        'idempotency_key_reused',
        'this Idempotency-Key was sent with another request before',
      );
    }
    const answer = (async () => work())();
    this.#kept.set(key, { requestHash, answer, until: this.now() + this.keptMs });
    try {
      return await answer;
    } catch (error) {
      this.#kept.delete(key);
      throw error;
    }
  }

  #forget(): void {
    for (const [key, { until }] of this.#kept) {
      if (until > this.now() && this.#kept.size < KEYS_MAX) return;
      this.#kept.delete(key);
    }
  }
}
