import { expect, test } from 'vitest';
import { RateLimit } from './rate-limit.js';

test('what is used up comes back steadily, for each key alone', () => {
  let now = 0;
  const limit = new RateLimit({ countMax: 3, perMs: 300 }, () => now);
  expect([1, 2, 3].map(() => limit.take('a'))).toEqual([0, 0, 0]);
  expect(limit.take('a')).toBe(100);
  expect(limit.take('b')).toBe(0);
  now = 50;
  expect(limit.wait('a')).toBe(50);
  now = 100;
  expect(limit.take('a')).toBe(0);
  expect(limit.take('a')).toBe(100);
  now = 10_000;
  expect([1, 2, 3, 4].map(() => limit.take('a'))).toEqual([0, 0, 0, 100]);
});

test('without a limit nobody waits', () => {
  const limit = new RateLimit({ countMax: 0, perMs: 1000 }, () => 0);
  expect(Array.from({ length: 100 }, () => limit.take('a')).every((wait) => wait === 0)).toBe(true);
});
