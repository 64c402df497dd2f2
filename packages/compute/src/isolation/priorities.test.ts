import { describe, expect, test } from 'vitest';
import { niceOf } from './priorities.js';
import { parseStat } from './process-tree.js';

describe('niceness', () => {
  test.each([
    [1, 1, 0],
    [2, 1, 0],
    [2, 2, 0],
    [2, 4, 3],
    [1, 4, 6],
    [2, 100, 18],
    [0.25, 1, 6],
    [0.25, 100, 19],
    [1, 0, 0],
  ])('of %d cores among %i busy processes is %i', (cores, busy, nice) => {
    expect(niceOf(cores, busy)).toBe(nice);
  });
});

test('a process whose name is odd', () => {
  const line = '42 (a b) (c) S 7 42 42 0 -1 4194560 100 200 0 0 11 22 33 44 20 0 1 0 5 6 7';
  expect(parseStat(line)).toEqual({ parent: 7, wantsCpu: false, cpuTicks: 33, endedChildrenTicks: 77 });
  expect(parseStat(line.replace(') S', ') R')).wantsCpu).toBe(true);
});
