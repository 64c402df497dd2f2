import { expect, test } from 'vitest';
import { isScarce, parseProcessorTime } from './machine-load.js';

test("the machine's time is read from its first line", () => {
  const text = 'cpu  10 1 20 50 5 1 2 3 7 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n';
  expect(parseProcessorTime(text)).toEqual({ all: 92, unused: 55 });
  expect(parseProcessorTime('intr 5\n')).toBeUndefined();
  expect(parseProcessorTime('cpu  1 2 3\n')).toBeUndefined();
});

test('processors are scarce when little of their time was unused, or nobody says', () => {
  const before = { all: 1000, unused: 500 };
  expect(isScarce(before, { all: 1100, unused: 510 })).toBe(true);
  expect(isScarce(before, { all: 1100, unused: 560 })).toBe(false);
  expect(isScarce(before, before)).toBe(false);
  expect(isScarce(undefined, before)).toBe(true);
});
