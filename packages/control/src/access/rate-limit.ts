/** How many of something each key may have in a time; what was not used is saved up for that time. */
export interface Rate {
  /** 0: any number. */
  readonly countMax: number;
  readonly perMs: number;
}

interface Bucket {
  left: number;
  filledAt: number;
}

/** Keys that are known at one time; the ones that were full the longest are forgotten first. */
const KEYS_MAX = 10_000;

/** A bucket for each key, which fills steadily. */
export class RateLimit {
  readonly #buckets = new Map<string, Bucket>();

  constructor(
    private readonly rate: Rate,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Takes one; answers how long to wait, in milliseconds, when there is none; else 0. */
  take(key: string): number {
    const waitMs = this.wait(key);
    if (waitMs === 0 && this.rate.countMax > 0) this.#bucket(key).left -= 1;
    return waitMs;
  }

  /** How long until there is one. */
  wait(key: string): number {
    if (this.rate.countMax === 0) return 0;
    const { left } = this.#bucket(key);
    return left >= 1 ? 0 : Math.ceil((1 - left) * this.#msEach);
  }

  get #msEach(): number {
    return this.rate.perMs / this.rate.countMax;
  }

  #bucket(key: string): Bucket {
    const now = this.now();
    const known = this.#buckets.get(key);
    const bucket = known ?? { left: this.rate.countMax, filledAt: now };
    bucket.left = Math.min(this.rate.countMax, bucket.left + (now - bucket.filledAt) / this.#msEach);
    bucket.filledAt = now;
    // The map's order is that of the last use.
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > KEYS_MAX) {
      const [oldest] = this.#buckets.keys();
      if (oldest !== undefined) this.#buckets.delete(oldest);
    }
    return bucket;
  }
}
