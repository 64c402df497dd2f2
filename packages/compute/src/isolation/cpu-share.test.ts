import { describe, expect, test } from 'vitest';
import { type CpuShare, firstShare, nextShare } from './cpu-share.js';

const bounds = { cpuMin: 0.25, cpuMax: 4 };
const at = (cores: number, calmLooks = 0): CpuShare => ({ cores, calmLooks });

describe("a compute's share of the processor", () => {
  test('is all that it may have at first', () => {
    expect(firstShare(bounds)).toEqual(at(4));
  });

  test.each<[string, CpuShare, number, boolean, CpuShare]>([
    ['doubles when it is used up', at(0.5, 3), 0.4, false, at(1)],
    ['doubles when it is held back', at(0.5), 0.1, true, at(1)],
    ['ends at the maximum', at(3), 3, false, at(4)],
    ['stays when about half of it is used', at(2, 4), 1, false, at(2)],
    ['stays for a while when little of it is used', at(2, 2), 0.1, false, at(2, 3)],
    ['is halved after that', at(2, 4), 0.1, false, at(1)],
    ['ends at the minimum', at(0.3, 4), 0, false, at(0.25)],
    ['follows bounds that were changed', at(100, 0), 2, false, at(4)],
    ['follows them up too', at(0.01, 0), 0.1, false, at(0.25)],
  ])('%s', (_what, share, usedCores, heldBack, next) => {
    expect(nextShare(share, { usedCores, heldBack }, bounds)).toEqual(next);
  });

  test('is that of the load after a few looks, whatever it was', () => {
    let share = firstShare(bounds);
    for (let look = 0; look < 40; look += 1) {
      share = nextShare(share, { usedCores: 0.4, heldBack: false }, bounds);
    }
    expect(share.cores).toBeGreaterThan(0.4);
    expect(share.cores).toBeLessThan(2);
  });
});
