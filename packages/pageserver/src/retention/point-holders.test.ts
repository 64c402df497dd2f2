import type { Lsn, TimelineId } from '@offshoot/types';
import { expect, test } from 'vitest';
import type { BranchId, BranchRecord } from '../catalog/records.js';
import type { KeptLsn } from '../catalog/timeline-holds.js';
import { heldPoints, isOnlyFor } from './point-holders.js';

/** By branch: what it was made of. `prod` is of nothing. */
const parents: Readonly<Record<string, string>> = { a: 'prod', b: 'a', c: 'a', d: 'prod' };
const lsn = (number: number) => BigInt(number) as Lsn;

/** By timeline: the branch that names it, and what it is kept for. */
function catalog(
  timelines: Readonly<Record<string, { readonly of?: string; readonly kept?: readonly [string, number][] }>>,
) {
  const record = (id: string | undefined) =>
    id === undefined ? undefined : ({ id, parent: parents[id] } as unknown as BranchRecord);
  return {
    findBranch: (id: BranchId) => (id in parents ? record(id) : undefined),
    branchOf: (id: TimelineId) => record(timelines[id]?.of),
    keptLsns: (id: TimelineId): KeptLsn[] =>
      (timelines[id]?.kept ?? []).map(([who, at]) => ({
        lsn: lsn(at),
        who,
        by: who.includes('/') ? 'checkpoint' : 'child',
      })),
  };
}

const all = () => true;

/** By LSN: the branch that it is kept for. */
async function held(given: ReturnType<typeof catalog>, isOf: (lsn: Lsn) => boolean = all) {
  const { points, branches } = await heldPoints(given, 'root' as TimelineId, isOf);
  points.parents.forEach((parent, at) => {
    expect(parent).toBeLessThan(at + 1);
  });
  return points.lsns.map((each, at) => [Number(each), branches[(points.holders[at] ?? 0) - 1]]);
}

test('an LSN is the branch’s whose timeline begins there, or whose checkpoint it is', async () => {
  const given = catalog({
    root: {
      kept: [
        ['ta', 10],
        ['td', 20],
        ['d/before', 30],
        ['td2', 40],
      ],
    },
    ta: { of: 'a' },
    td: { kept: [['d/x', 3]] },
    td2: { of: 'd' },
  });
  expect(await held(given)).toEqual([
    [10, 'a'],
    [20, 'd'],
    [30, 'd'],
    [40, 'd'],
  ]);
  expect(await held(given, (each) => each > 20n)).toEqual([
    [30, 'd'],
    [40, 'd'],
  ]);
});

test('what several need is the one’s that they come of, and nobody’s when there is none', async () => {
  const given = catalog({
    // `a` has left `left`, from which `b` and `c` start.
    root: {
      kept: [
        ['left', 10],
        ['ta', 20],
        ['td', 20],
        ['tb', 30],
        ['b/x', 30],
        ['gone', 40],
      ],
    },
    left: {
      kept: [
        ['tb', 3],
        ['tc', 4],
      ],
    },
    ta: { of: 'a' },
    tb: { of: 'b' },
    tc: { of: 'c' },
    td: { of: 'd' },
    gone: {},
  });
  expect(await held(given)).toEqual([
    [10, 'a'],
    [20, undefined],
    [30, 'b'],
    [40, undefined],
  ]);
  const only = (timeline: string, branch: string) =>
    isOnlyFor(given, timeline as TimelineId, branch as BranchId);
  expect(await only('left', 'a')).toBe(true);
  expect(await only('left', 'b')).toBe(false);
  expect(await only('td', 'd')).toBe(true);
});
