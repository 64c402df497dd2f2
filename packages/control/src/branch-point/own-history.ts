import {
  type BranchRecord,
  catalogError,
  type OpenTimeline,
  type PageServer,
  type TimelineRecord,
} from '@offshoot/pageserver';
import { formatLsn, type Lsn, type TimelineId } from '@offshoot/types';
import type { Parent } from './find-branch-point.js';

type Timeline = Parent['timeline'];

/** A stretch of history: what is between `start` and `end` of it is in the branch's, as far as it is kept. */
interface Stretch {
  readonly id: TimelineId;
  readonly open: Pick<OpenTimeline, keyof Timeline>;
  /** Where it leaves the one before; reading may begin later. */
  readonly start: Lsn;
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
    const own = pageServer.catalog.ownTimelines(branch);
    const stretch = (id: TimelineId, record: TimelineRecord | undefined, end: Lsn | undefined): Stretch => ({
      id,
      open: pageServer.timelineOf(branch.tenant, id),
      start: record?.parent?.ancestorLsn ?? (0n as Lsn),
      end,
    });
    const former = own.slice(1).map((each, at) => stretch(each.id, each, own[at]?.parent?.ancestorLsn));
    return new OwnHistory([stretch(branch.timeline, own[0], undefined), ...former]);
  }

  /** From there on all is kept. Of what is before, there may be more. */
  get readableFrom(): Lsn {
    const [first] = this.#stretches;
    let { readableFrom } = first.open;
    for (const { open, start, end } of this.#stretches) {
      // What is kept of a former one may all be of after the branch left it.
      if (end !== undefined && open.readableFrom > end) break;
      readableFrom = open.readableFrom;
      if (readableFrom > start) break;
    }
    return readableFrom;
  }

  covers(lsn: Lsn): boolean {
    return this.#at(lsn)?.open.covers(lsn) === true;
  }

  lastRecordLsn(): Lsn {
    return this.#stretches[0].open.lastRecordLsn();
  }

  /** The youngest that has it. Throws `branch_point_out_of_range` when none does. */
  timelineAt(lsn: Lsn): TimelineId {
    return this.#stretchAt(lsn).id;
  }

  async commitsAround(lsn: Lsn): ReturnType<Timeline['commitsAround']> {
    return await this.#stretchAt(lsn).open.commitsAround(lsn);
  }

  async lsnAtTime(time: bigint): ReturnType<Timeline['lsnAtTime']> {
    let knownFrom: bigint | undefined;
    let [isAfterGap, wasGap] = [false, false];
    for (const { open, start, end } of this.#stretches) {
      // The moment may be one of what is not kept of the younger one.
      if (isAfterGap && end !== undefined && !(await isBeforeEnd(open, end, time))) break;
      const found = await open.lsnAtTime(time);
      if (found.lsn === undefined) {
        if (!wasGap) knownFrom = found.knownFrom ?? knownFrom;
        // Asked last: where reading begins never goes back.
        isAfterGap = open.readableFrom > start;
        wasGap ||= isAfterGap;
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

  #stretchAt(lsn: Lsn): Stretch {
    const found = this.#at(lsn);
    if (found !== undefined) return found;
    throw catalogError('branch_point_out_of_range', `LSN ${formatLsn(lsn)} is in no history of the branch`);
  }

  /** Where one leaves the other both have it, and either may be the one that still can be read there. */
  #at(lsn: Lsn): Stretch | undefined {
    const having = this.#stretches.filter(
      ({ start, end }) => start <= lsn && (end === undefined || lsn <= end),
    );
    return having.find(({ open }) => open.covers(lsn)) ?? having[0];
  }
}

/** Whether the timeline has a commit later than the moment up to an LSN that is kept of it. */
async function isBeforeEnd(open: Stretch['open'], end: Lsn, time: bigint): Promise<boolean> {
  const { last } = await open.commitsAround(end);
  return last !== undefined && time < last;
}
