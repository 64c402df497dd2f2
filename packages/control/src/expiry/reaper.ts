import type { BranchRecord, Catalog } from '@offshoot/pageserver';
import { LookLoop } from '../look-loop.js';
import type { Clock } from '../sleep/clock.js';

/** Deletions under way at one time. */
const AT_ONCE = 8;

/** What ends branches whose time is over. */
export interface ReaperPlace {
  readonly catalog: Pick<Catalog, 'nextExpiry' | 'expired' | 'childCount'>;
  readonly clock: Clock;
  /** Longest time between two looks while a branch expires at all: the clock may be set. */
  readonly checkMs: number;
  /** Throws when it is not deleted: it was given more time, or others start from it by now. */
  delete(branch: BranchRecord, now: Date): Promise<void>;
  /** Nobody may use it any more, and others start from it. */
  shut(branch: BranchRecord): Promise<void>;
  /** Undefined: it cannot be told what is over. */
  onTrouble(branch: BranchRecord | undefined, error: unknown): void;
}

/**
 * Deletes branches whose time is over, those first from which none starts. One from which others start is shut, and goes
 * with the last of them. What is due is in the catalog alone, so that neither a restart nor a clock that is set loses it.
 */
export class Reaper {
  readonly #loop: LookLoop;
  #lookedAt = new Date(0);

  constructor(private readonly place: ReaperPlace) {
    this.#loop = new LookLoop({
      clock: place.clock,
      checkMs: place.checkMs,
      look: () => this.#look(),
      nextLookMs: () => this.#nextLookMs(),
      onTrouble: (error) => place.onTrouble(undefined, error),
    });
  }

  /** Something may be due, or due sooner. */
  stir(): void {
    this.#loop.stir();
  }

  /** Waits for what is under way. */
  close(): Promise<void> {
    return this.#loop.close();
  }

  async #look(): Promise<void> {
    for (let gone = -1; gone !== 0 && !this.#loop.isClosed; ) gone = await this.#round();
  }

  /** Deletes what can be; answers how many went. Their parents may be next. */
  async #round(): Promise<number> {
    const { catalog, clock } = this.place;
    const now = new Date(clock.now());
    let gone = 0;
    this.#lookedAt = now;
    const due = catalog.expired(now);
    for (let from = 0; from < due.length && !this.#loop.isClosed; from += AT_ONCE) {
      const some = due.slice(from, from + AT_ONCE);
      const ended = await Promise.all(some.map((branch) => this.#end(branch, now)));
      gone += ended.filter((end) => end === 'gone').length;
    }
    return gone;
  }

  async #end(branch: BranchRecord, now: Date): Promise<'gone' | 'there'> {
    const { catalog } = this.place;
    try {
      if (catalog.childCount(branch.id) > 0) {
        await this.place.shut(branch);
        return 'there';
      }
      await this.place.delete(branch, now);
      return 'gone';
    } catch (error) {
      this.place.onTrouble(branch, error);
      return 'there';
    }
  }

  /** Undefined: no branch expires. */
  #nextLookMs(): number | undefined {
    const { catalog, clock, checkMs } = this.place;
    if (catalog.nextExpiry() === undefined) return undefined;
    // What was due and is there still stands in its own way: it is tried again at the next look.
    const next = catalog.nextExpiry(this.#lookedAt);
    const dueMs = next === undefined ? checkMs : Date.parse(next) - clock.now();
    return Math.min(checkMs, Math.max(0, dueMs));
  }
}
