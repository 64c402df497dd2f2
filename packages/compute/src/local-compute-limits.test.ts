import { expect, test } from 'vitest';
import { computesMaxOf } from './local-compute-limits.js';

const GIB = 1024 ** 3;

test.each([
  ['a small container', 0.5, 1, 4],
  ['little memory', 2, 8, 10],
  ['much memory, few cores', 64, 2, 100],
  ['a large machine', 256, 64, 1365],
])('%s of %d GiB and %i cores bears %i computes', (_what, gib, cores, computes) => {
  expect(computesMaxOf({ memoryBytes: gib * GIB, cores })).toBe(computes);
});
