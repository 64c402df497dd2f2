import type { BranchId, BranchRecord, Catalog } from '@offshoot/pageserver';
import type { PeriodicCheckpoint } from '../lifecycle/checkpoints.js';
import { LookLoop } from '../look-loop.js';
import type { Clock } from '../sleep/clock.js';

/** What takes snapshots again and again. */
export interface SnapshotPlace {
  readonly catalog: Pick<Catalog, 'branches' | 'findBranch' | 'checkpoints'>;
  readonly clock: Clock;
  /** Longest time between two looks: the clock may be set. */
  readonly checkMs: number;
  take(branch: BranchRecord, periodic: PeriodicCheckpoint): Promise<unknown>;
  /** Undefined: it cannot be told what is due. */
  onTrouble(branch: BranchRecord | undefined, error: unknown): void;
}

/**
 * Takes checkpoints of branches that have a policy for it. When one is due follows from the last that is in the catalog; a
 * daemon that was down takes one at its start.
 */
export class SnapshotTaker {
  /** Those that have a policy. Undefined: nobody has looked yet. */
  #branches: Set<BranchId> | undefined;
  /** When one was last tried, whatever came of it: nothing may have changed. */
  readonly #triedMs = new Map<BranchId, number>();
  readonly #loop: LookLoop;

  constructor(private readonly place: SnapshotPlace) {
    this.#loop = new LookLoop({
      clock: place.clock,
      checkMs: place.checkMs,
      look: () => this.#look(),
      nextLookMs: () => this.#nextLookMs(),
      onTrouble: (error) => place.onTrouble(undefined, error),
    });
  }

  /** It has another policy by now, or none. */
  changed({ id, snapshots }: Pick<BranchRecord, 'id' | 'snapshots'>): void {
    this.#triedMs.delete(id);
    if (snapshots === undefined) this.#branches?.delete(id);
    else this.#branches?.add(id);
    this.stir();
  }

  stir(): void {
    this.#loop.stir();
  }

  /** Waits for what is under way. */
  close(): Promise<void> {
    return this.#loop.close();
  }

  async #look(): Promise<void> {
    this.#branches ??= this.#withPolicy();
    const branches = this.#branches;
    await Promise.all([...branches].map((id) => this.#takeIfDue(id, branches)));
  }

  #withPolicy(): Set<BranchId> {
    const all = this.place.catalog.branches();
    return new Set(all.filter(({ snapshots }) => snapshots !== undefined).map(({ id }) => id));
  }

  async #takeIfDue(id: BranchId, branches: Set<BranchId>): Promise<void> {
    const branch = this.place.catalog.findBranch(id);
    if (branch?.snapshots === undefined) {
      branches.delete(id);
      this.#triedMs.delete(id);
      return;
    }
    const nowMs = this.place.clock.now();
    if (this.#dueMs(branch) > nowMs) return;
    this.#triedMs.set(id, nowMs);
    try {
      await this.place.take(branch, { name: snapshotName(new Date(nowMs)), keep: branch.snapshots.keep });
    } catch (error) {
      this.place.onTrouble(branch, error);
    }
  }

  #dueMs({ id, snapshots }: BranchRecord): number {
    const last = this.place.catalog.checkpoints(id).findLast(({ kind }) => kind === 'periodic');
    const lastMs = Math.max(last === undefined ? 0 : Date.parse(last.createdAt), this.#triedMs.get(id) ?? 0);
    // One of later than now was taken before the clock was set back.
    if (lastMs > this.place.clock.now()) return 0;
    return lastMs + (snapshots?.everySeconds ?? 0) * 1000;
  }

  /** Undefined: no branch has a policy. */
  #nextLookMs(): number | undefined {
    const { clock, checkMs, catalog } = this.place;
    const there = [...(this.#branches ?? [])].flatMap((id) => catalog.findBranch(id) ?? []);
    if (there.length === 0) return undefined;
    const dueMs = Math.min(...there.map((each) => this.#dueMs(each)));
    return Math.min(checkMs, Math.max(1, dueMs - clock.now()));
  }
}

/** `auto-20261121t120000.000z` */
export function snapshotName(now: Date): string {
  return `auto-${now.toISOString().replaceAll(/[-:]/g, '').toLowerCase()}`;
}
