import type { BranchRecord, OpenTimeline, PageServer, TimelineRecord } from '@offshoot/pageserver';
import type { Lsn, TimelineId } from '@offshoot/types';
import { describe, expect, it } from 'vitest';
import { OwnHistory } from './own-history.js';

const lsn = (value: number) => BigInt(value) as Lsn;

interface Facts {
  readonly start?: number;
  readonly readableFrom: number;
  readonly kept?: readonly number[];
  readonly last: number;
  /** Each at its LSN, at the time that is ten times that. */
  readonly commits: readonly number[];
  /** Of ancestors it sees what is up to its start. */
  readonly inherited?: readonly number[];
}

/** What the engine says of one timeline. */
function timeline({ readableFrom, kept = [], last, commits, inherited = [] }: Facts): OpenTimeline {
  const all = [...inherited, ...commits];
  const time = (commit: number | undefined) => (commit === undefined ? undefined : BigInt(commit * 10));
  const before = (at: number) => all.filter((each) => each <= at).at(-1);
  return {
    readableFrom: lsn(readableFrom),
    covers: (at: Lsn) => at >= readableFrom || kept.includes(Number(at)),
    lastRecordLsn: () => lsn(last),
    commitsAround: async (at: Lsn) => ({
      last: time(before(Number(at))),
      next: time(commits.find((each) => each > at)),
    }),
    lsnAtTime: async (at: bigint) => {
      const knownFrom = time(before(readableFrom) ?? all[0]);
      if (knownFrom === undefined || at < knownFrom) return { lsn: undefined, knownFrom };
      const later = commits.find((each) => each * 10 > at);
      const found = later === undefined ? last : Math.max(later - 1, readableFrom);
      return { lsn: lsn(found), lastCommitTime: time(before(found)), isNewest: later === undefined };
    },
  } as unknown as OpenTimeline;
}

/** The youngest first. */
function historyOf(...stretches: readonly Facts[]): OwnHistory {
  const records = stretches.map(({ start }, at) => ({
    id: `t${at}`,
    ...(start === undefined ? {} : { parent: { timeline: `t${at + 1}`, ancestorLsn: lsn(start) } }),
  }));
  const server = {
    catalog: { ownTimelines: () => records as unknown as TimelineRecord[] },
    timelineOf: (_: unknown, id: TimelineId) => timeline(stretches[Number(id.slice(1))] as Facts),
  } as unknown as PageServer;
  return OwnHistory.of(server, { timeline: 't0' } as unknown as BranchRecord);
}

/** Went on from 100 of one that had come to 300, and has come to 600. */
const former = { start: 10, readableFrom: 10, last: 300, commits: [20, 60, 90, 150, 250] };
const young = { start: 100, readableFrom: 100, last: 600, commits: [200, 400, 550], inherited: [20, 60, 90] };
const narrowed = { ...young, readableFrom: 500 };

describe('the history of a branch that was restored', () => {
  it('is one while all of it is kept', async () => {
    const history = historyOf(young, former);
    expect(history.readableFrom).toBe(10n);
    expect([history.timelineAt(lsn(99)), history.timelineAt(lsn(100))]).toEqual(['t1', 't0']);
    expect(await history.lsnAtTime(700n)).toMatchObject({ lsn: 89n, lastCommitTime: 600n });
    expect(await history.lsnAtTime(2500n)).toMatchObject({ lsn: 399n, lastCommitTime: 2000n });
  });

  it('is not continued by what the former timeline has beyond the point that it left it at', async () => {
    const history = historyOf(narrowed, former);
    expect(history.readableFrom).toBe(500n);
    for (const given of [101, 200, 300, 499]) expect(history.covers(lsn(given))).toBe(false);
    expect(await history.lsnAtTime(2500n)).toEqual({ lsn: undefined, knownFrom: 4000n });
    // Of the last commit before that point it is not known how long it was the last.
    expect(await history.lsnAtTime(950n)).toEqual({ lsn: undefined, knownFrom: 4000n });
  });

  it('has what is still kept of the former timeline', async () => {
    const history = historyOf(narrowed, former);
    for (const kept of [10, 99, 100, 500, 600]) expect(history.covers(lsn(kept))).toBe(true);
    expect([history.timelineAt(lsn(99)), history.timelineAt(lsn(100))]).toEqual(['t1', 't1']);
    expect(await history.lsnAtTime(700n)).toMatchObject({ lsn: 89n, lastCommitTime: 600n, isNewest: false });
  });

  it('has single points of it', () => {
    expect(historyOf(young, { ...former, readableFrom: 290, kept: [50, 100] }).readableFrom).toBe(100n);
    const history = historyOf(narrowed, { ...former, readableFrom: 290, kept: [50, 100, 200] });
    expect([50, 51, 100, 200].map((at) => history.covers(lsn(at)))).toEqual([true, false, true, false]);
  });

  it('says so when an LSN is in none of it', () => {
    expect(() => historyOf(young, former).timelineAt(lsn(5))).toThrow(/in no history/);
  });
});
