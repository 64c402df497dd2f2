import { OffshootError, parseLsn } from '@offshoot/types';
import { describe, expect, test } from 'vitest';
import '@offshoot/pageserver';
import { parseBranchAt } from './branch-at.js';
import { findBranchPoint, type Parent } from './find-branch-point.js';

const T0 = Date.parse('2026-11-21T12:00:00Z');
const at = (second: number) => BigInt(T0 + second * 1000) * 1000n;
/** Start, end, seconds after noon. */
const COMMITS = [
  [0x110, 0x120, 1],
  [0x130, 0x140, 2],
  [0x150, 0x160, 3],
] as const;

/** Production with those commits; here is what `known` of them say, the rest comes with `catchUp`. */
function parent({ known = 3, failure }: { known?: number; failure?: OffshootError } = {}) {
  let here = known;
  const seen = { catchUps: 0 };
  const commits = () => COMMITS.slice(0, here);
  const newest = () => BigInt(commits().at(-1)?.[1] ?? 0x100);
  const timeline = {
    readableFrom: 0x100n,
    covers: (lsn: bigint) => lsn >= 0x100n,
    lastRecordLsn: newest,
    commitsAround: async (lsn: bigint) => {
      const last = commits().findLast(([, end]) => BigInt(end) <= lsn)?.[2];
      const next = commits().find(([, end]) => BigInt(end) > lsn)?.[2];
      return { last: last && at(last), next: next && at(next) };
    },
    lsnAtTime: async (time: bigint) => {
      const first = commits()[0];
      if (first === undefined || time < at(first[2])) {
        return { lsn: undefined, knownFrom: first && at(first[2]) };
      }
      const later = commits().find(([, , second]) => at(second) > time);
      const lsn = BigInt(later?.[0] ?? newest());
      const last = commits().findLast(([, end]) => BigInt(end) <= lsn)?.[2] ?? 0;
      return { lsn, lastCommitTime: at(last), isNewest: later === undefined };
    },
  };
  const made = {
    name: 'prod',
    timeline,
    catchUp: async () => {
      seen.catchUps += 1;
      if (failure !== undefined) throw failure;
      here = COMMITS.length;
      return T0 + 60_000;
    },
    asOfMs: () => T0 + 50_000,
    nowMs: () => T0 + 61_000,
  } as unknown as Parent;
  return { made, seen };
}

const find = (made: Parent, text: string) => findBranchPoint(made, parseBranchAt(text, T0 + 61_000));
const unreachable = () =>
  new OffshootError('production_unreachable', 'nobody answers', { details: { action: 'look' } });

describe('a branch point', () => {
  test.each([
    ['latest', 1, { lsn: 0x120n, lastCommitTime: at(1), asOfMs: T0 + 50_000 }, 0],
    ['now', 1, { lsn: 0x160n, lastCommitTime: at(3), asOfMs: T0 + 60_000 }, 1],
    ['0/100', 3, { lsn: 0x100n, lastCommitTime: undefined, asOfMs: T0 + 1000 }, 0],
    ['0/145', 3, { lsn: 0x145n, lastCommitTime: at(2), asOfMs: T0 + 3000 }, 0],
    ['0/160', 3, { lsn: 0x160n, lastCommitTime: at(3), asOfMs: T0 + 50_000 }, 0],
    ['0/150', 1, { lsn: 0x150n, lastCommitTime: at(2), asOfMs: T0 + 3000 }, 1],
    ['2026-11-21T12:00:02Z', 3, { lsn: 0x150n, lastCommitTime: at(2), asOfMs: T0 + 2000 }, 0],
    ['2026-11-21T12:00:02.9Z', 3, { lsn: 0x150n, lastCommitTime: at(2), asOfMs: T0 + 2900 }, 0],
    // Later than all that is here: there may be more on production.
    ['2026-11-21T12:00:02.9Z', 2, { lsn: 0x150n, lastCommitTime: at(2), asOfMs: T0 + 2900 }, 1],
    ['-1s', 2, { lsn: 0x160n, lastCommitTime: at(3), asOfMs: T0 + 60_000 }, 1],
  ] as const)('%s with %d commits here', async (text, known, expected, catchUps) => {
    const { made, seen } = parent({ known });
    expect(await find(made, text)).toEqual(expected);
    expect(seen.catchUps).toBe(catchUps);
  });

  test.each([
    [
      '0/FF',
      'branch prod can be read from 0/100 to 0/160 (from 2026-11-21T12:00:01.000000Z to 2026-11-21T12:00:03.000000Z), not at 0/FF',
    ],
    ['0/161', 'to 0/160 (from 2026-11-21T12:00:01.000000Z to 2026-11-21T12:00:03.000000Z), not at 0/161'],
    ['2026-11-21T12:00:00Z', '12:00:03.000000Z), not at 2026-11-21T12:00:00.000000Z'],
    [
      '2026-11-21T13:00:00Z',
      '2026-11-21T13:00:00.000000Z is in the future: here it is 2026-11-21T12:01:01.000000Z; use now',
    ],
  ])('%s is out of range', async (text, message) => {
    const { made } = parent();
    const refusal = expect.objectContaining({
      code: 'branch_point_out_of_range',
      message: expect.stringContaining(message),
    });
    await expect(find(made, text)).rejects.toEqual(refusal);
    await expect(find(made, text)).rejects.toEqual(refusal);
  });

  test('says so when no commit is known at all', async () => {
    const { made } = parent({ known: 0 });
    await expect(find(made, '2026-11-21T12:00:00Z')).rejects.toThrow(
      '0/100 to 0/100 (no commit times are known yet)',
    );
  });

  test.each(['now', '-1s'])('%s without production says what is here', async (text) => {
    const { made } = parent({ known: 2, failure: unreachable() });
    await expect(find(made, text)).rejects.toEqual(
      expect.objectContaining({
        code: 'production_unreachable',
        message:
          'nobody answers; here is what was written up to 0/140, last commit 2026-11-21T12:00:02.000000Z',
        details: { action: 'look' },
      }),
    );
  });

  test('what is here needs no production', async () => {
    const { made } = parent({ known: 2, failure: unreachable() });
    expect((await find(made, 'latest')).lsn).toBe(0x140n);
    expect((await find(made, '2026-11-21T12:00:01Z')).lsn).toBe(0x130n);
    await expect(find(made, '0/150')).rejects.toThrow(`to 0/140`);
    expect(parseLsn('0/140')).toBe(0x140n);
  });
});
