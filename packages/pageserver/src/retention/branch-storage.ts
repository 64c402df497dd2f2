import type { Lsn, TimelineId } from '@offshoot/types';
import type { Catalog } from '../catalog/catalog.js';
import type { BranchId, BranchRecord, TimelineRecord } from '../catalog/records.js';
import type { OpenTenant } from '../open-tenant.js';
import type { OpenTimeline } from '../open-timeline.js';
import type { Collector } from './collector.js';
import { isOnlyFor } from './point-holders.js';
import type { Growth, MeasuredTimeline } from './timeline-measures.js';

/** Versions of pages that would go if a branch, and those that come of it, were not there. */
export interface Pinned {
  readonly versions: number;
  /** Keys and values. */
  readonly bytes: number;
  /** As of then. */
  readonly at: Date;
}

export interface BranchStorage {
  /** Under the timeline that it names. */
  readonly own?: MeasuredTimeline | undefined;
  readonly growth?: Growth | undefined;
  /** In timelines that it comes of, or has left; undefined: not known yet. */
  readonly pinned?: Pinned | undefined;
}

/** Of what was measured longer ago the newest is wanted. */
const FRESH_MS = 5000;

/** What branches have stored, and what they keep others from giving up. */
export class BranchStorages {
  constructor(
    private readonly catalog: Catalog,
    private readonly collector: Collector,
    private readonly now: () => number,
  ) {}

  /** What is measured in no more than `waitMs`, else what was measured last. */
  async of(tenant: OpenTenant, branch: BranchRecord, waitMs: number): Promise<BranchStorage> {
    const open = tenant.find(branch.timeline);
    if (open === undefined) return {};
    // A tenant's first timeline is measured by its rounds alone.
    if (branch.parent !== undefined) await this.#measured(tenant, open, waitMs);
    return {
      own: this.collector.measures.of(open),
      growth: this.collector.measures.growthOf(open),
      pinned: branch.parent === undefined ? undefined : await this.#pinned(tenant, branch, waitMs),
    };
  }

  async #measured(
    tenant: OpenTenant,
    open: OpenTimeline,
    waitMs: number,
  ): Promise<MeasuredTimeline | undefined> {
    const { measures } = this.collector;
    const ageMs = this.now() - (measures.of(open)?.at.getTime() ?? 0);
    if (measures.isCurrent(open)) measures.confirm(open);
    else if (ageMs > FRESH_MS) await this.collector.measure(tenant, open, waitMs);
    return measures.of(open);
  }

  async #pinned(tenant: OpenTenant, branch: BranchRecord, waitMs: number): Promise<Pinned | undefined> {
    let sum: Pinned = { versions: 0, bytes: 0, at: new Date(this.now()) };
    for (const [timeline, lsns] of this.#pointsOf(branch)) {
      const pinned = await this.#pinnedIn(tenant, branch.id, { timeline, lsns }, waitMs);
      if (pinned === undefined) return undefined;
      sum = {
        versions: sum.versions + pinned.versions,
        bytes: sum.bytes + pinned.bytes,
        at: new Date(Math.min(pinned.at.getTime(), sum.at.getTime())),
      };
    }
    return sum;
  }

  async #pinnedIn(
    tenant: OpenTenant,
    branch: BranchId,
    { timeline, lsns }: { readonly timeline: TimelineId; readonly lsns: readonly Lsn[] },
    waitMs: number,
  ): Promise<Pinned | undefined> {
    const open = tenant.find(timeline);
    if (open === undefined) return undefined;
    const isLeft = this.catalog.branchOf(timeline) === undefined;
    if (isLeft && (await isOnlyFor(this.catalog, timeline, branch))) {
      const whole = await this.#measured(tenant, open, waitMs);
      return whole && { versions: whole.entries, bytes: whole.bytes, at: whole.at };
    }
    // What is within the window is kept by that.
    if (lsns.every((lsn) => lsn >= open.readableFrom)) {
      return { versions: 0, bytes: 0, at: new Date(this.now()) };
    }
    return this.collector.pinnedIn(open, branch);
  }

  /** LSNs that it needs of timelines that it does not name: of those that it left, and of the first that was never its own. */
  #pointsOf(branch: BranchRecord): Map<TimelineId, Lsn[]> {
    const points = new Map<TimelineId, Lsn[]>();
    const add = (timeline: TimelineId, lsn: Lsn) => {
      if (timeline === branch.timeline) return;
      points.set(timeline, [...(points.get(timeline) ?? []), lsn]);
    };
    const checkpoints = this.catalog.checkpoints(branch.id);
    for (const { timeline, lsn } of checkpoints) add(timeline, lsn);
    const own = new Map<TimelineId, TimelineRecord>();
    for (const timeline of new Set([branch.timeline, ...checkpoints.map((each) => each.timeline)])) {
      for (const each of this.catalog.ownTimelines({ ...branch, timeline })) own.set(each.id, each);
    }
    for (const { parent } of own.values()) {
      if (parent !== undefined) add(parent.timeline, parent.ancestorLsn);
    }
    return points;
  }
}
