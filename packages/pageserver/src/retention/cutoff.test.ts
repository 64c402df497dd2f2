import type { Lsn } from '@offshoot/types';
import { expect, test } from 'vitest';
import { cutoffOf } from './cutoff.js';

const NOW = Date.parse('2026-11-21T12:00:00Z');
const second = (number: number) => BigInt(NOW + number * 1000) * 1000n;

/** A commit each second at 1000, 2000, … up to `newest` seconds from now. */
function timeline(newest: number | undefined, readableFrom = 0n) {
  return {
    readableFrom: readableFrom as Lsn,
    lastRecordLsn: () => 100_000n as Lsn,
    commitsAround: async () => ({
      last: newest === undefined ? undefined : second(newest),
      next: undefined,
    }),
    lsnAtTime: async (time: bigint) => {
      const at = Number(time - second(-100)) / 1e6;
      return at < 0
        ? { lsn: undefined, knownFrom: second(-100) }
        : { lsn: BigInt(at * 1000) as Lsn, lastCommitTime: time, isNewest: false };
    },
  };
}

test.each([
  ['time', 0, { historySeconds: 30, historyWalBytesMax: 0 }, 70_000n],
  ['a production that stands still', -40, { historySeconds: 30, historyWalBytesMax: 0 }, 30_000n],
  ['a clock that is ahead', 50, { historySeconds: 30, historyWalBytesMax: 0 }, 70_000n],
  ['before all that is known', 0, { historySeconds: 300, historyWalBytesMax: 0 }, 0n],
  ['WAL', 0, { historySeconds: 0, historyWalBytesMax: 2500 }, 97_500n],
  ['whichever is later: WAL', 0, { historySeconds: 30, historyWalBytesMax: 2500 }, 97_500n],
  ['whichever is later: time', 0, { historySeconds: 30, historyWalBytesMax: 90_000 }, 70_000n],
  ['all of it', 0, { historySeconds: 0, historyWalBytesMax: 0 }, 0n],
  ['no commits', undefined, { historySeconds: 30, historyWalBytesMax: 0 }, 0n],
] as const)('%s', async (_, newest, settings, expected) => {
  expect(await cutoffOf(timeline(newest), settings, NOW)).toBe(expected);
});

test('never goes back', async () => {
  const settings = { historySeconds: 30, historyWalBytesMax: 0 };
  expect(await cutoffOf(timeline(0, 80_000n), settings, NOW)).toBe(80_000n);
});

test('is counted from the end of who reads it, of a timeline that was left', async () => {
  const former = timeline(-40);
  const byTime = { historySeconds: 30, historyWalBytesMax: 0 };
  // The branch went back in time, and has come beyond where it was since.
  expect(await cutoffOf(former, byTime, NOW, timeline(-50))).toBe(20_000n);
  expect(await cutoffOf(former, byTime, NOW, timeline(-20))).toBe(50_000n);
  const end = (lsn: bigint) => ({ ...timeline(0), lastRecordLsn: () => lsn as Lsn });
  const byWal = { historySeconds: 0, historyWalBytesMax: 2500 };
  expect(await cutoffOf(former, byWal, NOW, end(101_000n))).toBe(98_500n);
  // Beyond its own end there is nothing of it.
  expect(await cutoffOf(former, byWal, NOW, end(200_000n))).toBe(100_000n);
});
