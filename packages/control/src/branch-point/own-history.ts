import type { BranchRecord, OpenTimeline, PageServer, TimelineRecord } from '@offshoot/pageserver';
import type { Lsn, TimelineId } from '@offshoot/types';
import type { Parent } from './find-branch-point.js';

type Timeline = Parent['timeline'];

/** A stretch of history; all of it is in the branch's up to `end`. */
interface Stretch {
  readonly id: TimelineId;
  readonly open: Pick<OpenTimeline, keyof Timeline>;
  /** Undefined: it is the branch's own end, which moves on. */
  readonly end: Lsn | undefined;
}

/**
 * What can be read of a branch as one: the timeline that it names, and those that it named before it was restored or reset
 * to a point of its own.
 */
export class OwnHistory implements Timeline {
  readonly #stretches: readonly [Stretch, ...Stretch[]];

  private constructor(stretches: [Stretch, ...Stretch[]]) {
    this.#stretches = stretches;
  }

  /** Throws `branch_changed` when it names another timeline by now and its own is gone, `tenant_unavailable`. */
  static of(pageServer: PageServer, branch: BranchRecord): OwnHistory {
    const { catalog } = pageServer;
    const stretch = (id: TimelineId, younger: TimelineRecord | undefined): Stretch => ({
      id,
      open: pageServer.timelineOf(branch.tenant, id),
      end: younger?.parent?.ancestorLsn,
    });
    const own = catalog.ownTimelines(branch);
    const former = own.slice(1).map(({ id }, at) => stretch(id, own[at]));
    return new OwnHistory([stretch(branch.timeline, undefined), ...former]);
  }

  get readableFrom(): Lsn {
    const oldest = this.#stretches.at(-1) ?? this.#stretches[0];
    return oldest.open.readableFrom;
  }

  lastRecordLsn(): Lsn {
    return this.#stretches[0].open.lastRecordLsn();
  }

  /** The youngest that has it. */
  timelineAt(lsn: Lsn): TimelineId {
    return this.#at(lsn).id;
  }

  commitsAround(lsn: Lsn): ReturnType<Timeline['commitsAround']> {
    return this.#at(lsn).open.commitsAround(lsn);
  }

  async lsnAtTime(time: bigint): ReturnType<Timeline['lsnAtTime']> {
    let knownFrom: bigint | undefined;
    for (const { open, end } of this.#stretches) {
      const found = await open.lsnAtTime(time);
      if (found.lsn === undefined) {
        knownFrom = found.knownFrom ?? knownFrom;
        continue;
      }
      if (end === undefined) return found;
      if (found.lsn <= end) return { ...found, isNewest: false };
      // What came after its end there is not of this branch.
      const { last } = await open.commitsAround(end);
      return { lsn: end, lastCommitTime: last, isNewest: false };
    }
    return { lsn: undefined, knownFrom };
  }

  #at(lsn: Lsn): Stretch {
    const has = this.#stretches.find(({ open }) => lsn >= open.readableFrom);
    return has ?? this.#stretches.at(-1) ?? this.#stretches[0];
  }
}
