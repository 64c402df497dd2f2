import type { Lsn } from '@offshoot/types';
import type { OpenTimeline } from '../open-timeline.js';
import type { HistorySettings } from './retention-settings.js';

/** Of an open timeline, what a cutoff depends on. */
type Timeline = Pick<OpenTimeline, 'readableFrom' | 'lastRecordLsn' | 'commitsAround' | 'lsnAtTime'>;

/**
 * Where what is kept of a timeline's history begins; never before where it begins now. Time is counted back from the newest
 * commit, by the clock of who wrote it, or from now if that is earlier: a production that is gone, or whose clock is slow,
 * loses nothing while it stands still. The commit, and the end of the WAL, are those of the timeline that reads the history:
 * of one that a branch has left, that is the one that the branch names by now.
 */
export async function cutoffOf(
  timeline: Timeline,
  { historySeconds, historyWalBytesMax }: HistorySettings,
  nowMs: number,
  reader: Timeline = timeline,
): Promise<Lsn> {
  const last = timeline.lastRecordLsn();
  const candidates = [timeline.readableFrom];
  if (historyWalBytesMax > 0) candidates.push((reader.lastRecordLsn() - BigInt(historyWalBytesMax)) as Lsn);
  if (historySeconds > 0) {
    const since = await momentBefore(reader, historySeconds, nowMs);
    const found = since === undefined ? undefined : await timeline.lsnAtTime(since);
    if (found?.lsn !== undefined) candidates.push(found.lsn);
  }
  const [latest = last] = candidates.sort(descending);
  return earlier(latest, last);
}

async function momentBefore(timeline: Timeline, seconds: number, nowMs: number): Promise<bigint | undefined> {
  const { last: newest } = await timeline.commitsAround(timeline.lastRecordLsn());
  if (newest === undefined) return undefined;
  const now = BigInt(nowMs) * 1000n;
  return earlier(newest, now) - BigInt(seconds) * 1_000_000n;
}

function descending(a: bigint, b: bigint): number {
  return Number(b > a) - Number(b < a);
}

function earlier<T extends bigint>(a: T, b: T): T {
  return a < b ? a : b;
}
