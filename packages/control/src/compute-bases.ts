import type { BranchId } from '@offshoot/pageserver';
import type { Lsn, TimelineId } from '@offshoot/types';

/** Of a branch whose compute gives way to another, both are remembered for a while. */
const BASES_MAX = 2;

interface Bases {
  readonly timeline: TimelineId;
  readonly lsns: readonly Lsn[];
}

/** The LSNs that computes read at: those of all pages that they have not written. They have to stay readable. */
export class ComputeBases {
  readonly #bases = new Map<BranchId, Bases>();

  /** `isAsleep`: the branch has no compute, and none is on its way. */
  constructor(private readonly isAsleep: (branch: BranchId) => boolean) {}

  /** A compute of the branch is about to start. In the same moment in which it is said what it starts from. */
  note(branch: BranchId, timeline: TimelineId, lsn: Lsn): void {
    const before = this.#bases.get(branch);
    const others = before?.timeline === timeline ? before.lsns.filter((each) => each !== lsn) : [];
    this.#bases.set(branch, { timeline, lsns: [lsn, ...others].slice(0, BASES_MAX) });
  }

  /** What is to be kept of a timeline. */
  of(timeline: TimelineId): Lsn[] {
    const kept: Lsn[] = [];
    for (const [branch, bases] of this.#bases) {
      if (this.isAsleep(branch)) this.#bases.delete(branch);
      else if (bases.timeline === timeline) kept.push(...bases.lsns);
    }
    return kept;
  }
}
