import { describe, expect, test } from 'vitest';
import { niceOf } from './priorities.js';
import { parseStat } from './process-tree.js';

describe('niceness', () => {
  test.each([
    [1, 1, 0],
    [2, 1, 0],
    [0.5, 1, 3],
    [0.25, 1, 6],
    [0.02, 2, 19],
    [0.25, 0.25, 0],
    [0.001, 2, 19],
  ])('of a part of %d cores where the most is %d is %i', (cores, most, nice) => {
    expect(niceOf(cores, most)).toBe(nice);
  });
});

test('a process whose name is odd', () => {
  const line = '42 (a b) (c) S 7 42 42 0 -1 4194560 100 200 0 0 11 22 33 44 20 0 1 0 5 6 7';
  expect(parseStat(line)).toEqual({ parent: 7, wantsCpu: false, cpuTicks: 33, endedChildrenTicks: 77 });
  expect(parseStat(line.replace(') S', ') R')).wantsCpu).toBe(true);
});
