import { describe, expect, test } from 'vitest';
import { nextShare } from './cpu-share.js';

const bounds = { cpuMin: 0.25, cpuMax: 2 };

describe("a compute's share of the processor", () => {
  test.each<[string, number, number, boolean, number]>([
    ['is its maximum while there is enough', 2, 2, false, 2],
    ['comes back to it slowly', 1, 2, false, 1.25],
    ['is halved when it takes much of what others want', 2, 1.1, true, 1],
    ['ends at the minimum', 0.3, 1, true, 0.25],
    ['stays when it takes its part', 0.5, 0.6, true, 0.5],
    ['doubles when it takes little', 0.5, 0.1, true, 1],
    ['ends at the maximum', 1.5, 0.1, true, 2],
    ['follows bounds that were changed', 100, 0.6, true, 2],
    ['follows them up too', 0.01, 0.6, true, 0.25],
  ])('%s', (_what, share, usedCores, contended, next) => {
    expect(nextShare(share, { usedCores, equalCores: 1, contended }, bounds)).toBe(next);
  });

  test('of work that never ends falls to the minimum beside work in small pieces, which keeps its maximum', () => {
    let [endless, small] = [2, 2];
    for (let look = 0; look < 10; look += 1) {
      endless = nextShare(endless, { usedCores: 1.7, equalCores: 1, contended: true }, bounds);
      small = nextShare(small, { usedCores: 0.3, equalCores: 1, contended: true }, bounds);
    }
    expect([endless, small]).toEqual([0.25, 2]);
    for (let look = 0; look < 10; look += 1) {
      endless = nextShare(endless, { usedCores: 2, equalCores: 2, contended: false }, bounds);
    }
    expect(endless).toBe(2);
  });
});
