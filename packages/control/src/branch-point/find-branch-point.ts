import { catalogError, type OpenTimeline } from '@offshoot/pageserver';
import { asOffshootError, formatLsn, type Lsn, OffshootError, type TimelineId } from '@offshoot/types';
import type { BranchAt } from './branch-at.js';
import { formatMicros, type Moment } from './moment.js';

/** Production's clock may be ahead of ours. */
const CLOCKS_DIFFER_MS = 1000;

/** The branch that another is to start from. */
export interface Parent {
  readonly name: string;
  readonly timeline: Pick<OpenTimeline, 'readableFrom' | 'lastRecordLsn' | 'lsnAtTime' | 'commitsAround'>;
  /** Resolves when all that was written on the branch before the call can be read; answers when it was asked. */
  catchUp(): Promise<number>;
  /** What can be read was all there was then, in milliseconds since 1970; undefined: nobody knows. */
  asOfMs(): number | undefined;
  nowMs(): number;
  /** Throws `checkpoint_not_found`. */
  checkpoint(name: string): Promise<PointOfCheckpoint>;
}

/** A checkpoint's LSN, on its timeline. */
export interface PointOfCheckpoint {
  readonly name: string;
  readonly timeline: TimelineId;
  readonly lsn: Lsn;
  /** As `BranchPoint` has it. */
  readonly lastCommitTime: bigint | undefined;
}

/** Where a branch starts. */
export interface BranchPoint {
  readonly lsn: Lsn;
  /** Of the last commit that is in, in microseconds since 1970; undefined: it was before commit times are known. */
  readonly lastCommitTime: bigint | undefined;
  /** The parent's source was in this state until then, in milliseconds since 1970. */
  readonly asOfMs: number | undefined;
  /** The one that was asked for; it may be on a timeline that is not in the branch's history any more. */
  readonly checkpoint?: PointOfCheckpoint | undefined;
}

/**
 * Finds where a branch starts. Throws `branch_point_out_of_range` with the readable range, and what `catchUp` throws,
 * with what is here.
 */
export async function findBranchPoint(parent: Parent, at: BranchAt): Promise<BranchPoint> {
  switch (at.kind) {
    case 'latest':
      return await newest(parent, parent.asOfMs());
    case 'now':
      return await newest(parent, await caughtUp(parent));
    case 'lsn':
      return await atLsn(parent, at.lsn);
    case 'time':
      return await atTime(parent, at.moment);
    case 'checkpoint':
      return atCheckpoint(await parent.checkpoint(at.name));
  }
}

async function newest(parent: Parent, asOfMs: number | undefined): Promise<BranchPoint> {
  const lsn = parent.timeline.lastRecordLsn();
  const { last } = await parent.timeline.commitsAround(lsn);
  return { lsn, lastCommitTime: last, asOfMs: asOfMs ?? milliseconds(last) };
}

function atCheckpoint(checkpoint: PointOfCheckpoint): BranchPoint {
  const { lsn, lastCommitTime } = checkpoint;
  return { lsn, lastCommitTime, asOfMs: milliseconds(lastCommitTime), checkpoint };
}

async function atLsn(parent: Parent, lsn: Lsn): Promise<BranchPoint> {
  const { timeline } = parent;
  if (lsn > timeline.lastRecordLsn()) {
    // What it is not behind of by now cannot be read at all.
    await parent.catchUp().catch(() => {});
  }
  if (lsn < timeline.readableFrom || lsn > timeline.lastRecordLsn()) {
    throw outOfRange(
      `branch ${parent.name} can be read ${await readableRange(parent)}, not at ${formatLsn(lsn)}`,
    );
  }
  const { last, next } = await timeline.commitsAround(lsn);
  return { lsn, lastCommitTime: last, asOfMs: milliseconds(next) ?? parent.asOfMs() ?? milliseconds(last) };
}

async function atTime(parent: Parent, moment: Moment): Promise<BranchPoint> {
  let found = await parent.timeline.lsnAtTime(moment.micros);
  let asOfMs = milliseconds(moment.micros);
  if (found.lsn !== undefined && found.isNewest) {
    refuseFuture(parent, moment);
    const askedAt = await caughtUp(parent);
    found = await parent.timeline.lsnAtTime(moment.micros);
    asOfMs = found.lsn !== undefined && found.isNewest ? askedAt : asOfMs;
  }
  if (found.lsn === undefined) {
    const known = await readableRange(parent, found.knownFrom);
    throw outOfRange(`branch ${parent.name} can be read ${known}, not at ${formatMicros(moment.micros)}`);
  }
  return { lsn: found.lsn, lastCommitTime: found.lastCommitTime, asOfMs };
}

function refuseFuture(parent: Parent, { micros }: Moment): void {
  const now = BigInt(parent.nowMs()) * 1000n;
  if (micros > now + BigInt(CLOCKS_DIFFER_MS) * 1000n) {
    throw outOfRange(`${formatMicros(micros)} is in the future: here it is ${formatMicros(now)}; use now`);
  }
}

/** Whoever cannot have what the parent has now is told what there is. */
async function caughtUp(parent: Parent): Promise<number> {
  try {
    return await parent.catchUp();
  } catch (thrown) {
    const { code, message, details } = asOffshootError(thrown);
    const lsn = parent.timeline.lastRecordLsn();
    const { last } = await parent.timeline.commitsAround(lsn);
    const commit = last === undefined ? '' : `, last commit ${formatMicros(last)}`;
    throw new OffshootError(code, `${message}; here is what was written up to ${formatLsn(lsn)}${commit}`, {
      details,
      cause: thrown,
    });
  }
}

/** `from 0/1 to 0/9 (2026-… to 2026-…)`. */
async function readableRange({ timeline }: Parent, knownFrom?: bigint): Promise<string> {
  const [from, to] = [timeline.readableFrom, timeline.lastRecordLsn()];
  const lsns = `from ${formatLsn(from)} to ${formatLsn(to)}`;
  // Long ago: the answer says from when on times are known.
  const early = await timeline.lsnAtTime(-(2n ** 62n));
  const first = knownFrom ?? (early.lsn === undefined ? early.knownFrom : undefined);
  if (first === undefined) {
    return `${lsns} (no commit times are known yet)`;
  }
  const { last } = await timeline.commitsAround(to);
  return `${lsns} (from ${formatMicros(first)}${last === undefined ? ' on' : ` to ${formatMicros(last)}`})`;
}

function outOfRange(message: string): OffshootError {
  return catalogError('branch_point_out_of_range', message, {
    details: { action: 'choose an LSN or a time within that range, or latest, or now' },
  });
}

function milliseconds(micros: bigint | undefined): number | undefined {
  return micros === undefined ? undefined : Number(micros / 1000n);
}
