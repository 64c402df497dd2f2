import { setImmediate } from 'node:timers/promises';
import type { PointHolders } from '@offshoot/engine';
import type { Lsn, TimelineId } from '@offshoot/types';
import type { CatalogReads } from '../catalog/catalog-reads.js';
import type { BranchId } from '../catalog/records.js';

type Catalog = Pick<CatalogReads, 'keptLsns' | 'branchOf' | 'findBranch'>;

/** Timelines that are looked at before others have their turn. */
const LOOKS_MAX = 100;

/** For which branches a timeline's single LSNs are kept. */
export interface HeldPoints {
  readonly points: PointHolders;
  /** By number, from 1 on. */
  readonly branches: readonly BranchId[];
}

/** Of a timeline without any. */
export const NOBODY: HeldPoints = { points: { parents: [], lsns: [], holders: [] }, branches: [] };

/**
 * Whose LSNs of a timeline are: branches that start there, whatever timeline they name by now, and those whose checkpoints
 * they are. What several need is the one's that they come of; what is production's, or that of branches that do not come of
 * one, is nobody's.
 */
export async function heldPoints(
  catalog: Catalog,
  timeline: TimelineId,
  isOf: (lsn: Lsn) => boolean,
): Promise<HeldPoints> {
  const family = new BranchFamily(catalog);
  const held = new Map<Lsn, number>();
  for (const { lsn, by, who } of catalog.keptLsns(timeline)) {
    if (!isOf(lsn)) continue;
    const holder =
      by === 'child' ? await holderOf(catalog, who as TimelineId, family) : family.number(branchOfHold(who));
    const other = held.get(lsn);
    held.set(lsn, other === undefined ? holder : family.common(other, holder));
  }
  return {
    branches: family.branches,
    points: { parents: [...family.parents], lsns: [...held.keys()], holders: [...held.values()] },
  };
}

/** Whether a branch, with those that come of it, is all that a timeline is there for. */
export async function isOnlyFor(catalog: Catalog, timeline: TimelineId, branch: BranchId): Promise<boolean> {
  const family = new BranchFamily(catalog);
  return (await holderOf(catalog, timeline, family)) === family.number(branch);
}

async function holderOf(catalog: Catalog, timeline: TimelineId, family: BranchFamily): Promise<number> {
  let common: number | undefined;
  const add = (holder: number) => {
    common = common === undefined ? holder : family.common(common, holder);
  };
  const left = [timeline];
  for (let looks = 1; common !== 0; looks += 1) {
    const each = left.pop();
    if (each === undefined) break;
    const named = catalog.branchOf(each);
    if (named !== undefined) add(family.number(named.id));
    for (const { by, who } of catalog.keptLsns(each)) {
      if (by === 'child') left.push(who as TimelineId);
      else add(family.number(branchOfHold(who)));
    }
    if (looks % LOOKS_MAX === 0) await setImmediate();
  }
  return common ?? 0;
}

/** A checkpoint is held as `BRANCH/NAME`. */
function branchOfHold(who: string): BranchId {
  return who.slice(0, who.indexOf('/')) as BranchId;
}

/** Branches with numbers, each after the one that it comes of; 0: production's own history, and what is gone. */
class BranchFamily {
  readonly branches: BranchId[] = [];
  /** Of each, the number of the one that it comes of. */
  readonly parents: number[] = [];
  readonly #numbers = new Map<BranchId, number>();

  constructor(private readonly catalog: Pick<Catalog, 'findBranch'>) {}

  number(id: BranchId): number {
    const unknown: BranchId[] = [];
    let [at, number]: [BranchId | undefined, number] = [id, 0];
    for (; at !== undefined; at = this.catalog.findBranch(at)?.parent) {
      const known = this.#numbers.get(at);
      if (known !== undefined) {
        number = known;
        break;
      }
      unknown.push(at);
    }
    for (const each of unknown.reverse()) {
      // A tenant's first branch has no parent, nor has one that is gone.
      if (this.catalog.findBranch(each)?.parent !== undefined) {
        this.parents.push(number);
        this.branches.push(each);
        number = this.branches.length;
      }
      this.#numbers.set(each, number);
    }
    return number;
  }

  common(a: number, b: number): number {
    let [one, other] = [a, b];
    while (one !== other) {
      if (one > other) one = this.parents[one - 1] ?? 0;
      else other = this.parents[other - 1] ?? 0;
    }
    return one;
  }
}
