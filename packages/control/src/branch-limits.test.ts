import { expect, test } from 'vitest';
import { BranchLimits } from './branch-limits.js';

const GIB = 2 ** 30;
const limits = (cores: number) =>
  new BranchLimits({ cores, defaultSize: { cpuMin: 0.25, cpuMax: 2, memoryBytes: 2 * GIB } }, 0);

test('a minimum of more cores than there are is refused, with how many there are', () => {
  expect(() => limits(2).expectSize({ cpuMin: 1000 }, {})).toThrow(
    expect.objectContaining({
      code: 'compute_setting_invalid',
      message: 'the minimum of CPU is 1000 cores, and this machine has 2; no more can be kept for a branch',
    }),
  );
  expect(() => limits(1).expectSize({ cpuMin: 1.01 }, {})).toThrow(/this machine has 1;/);
  for (const cpuMin of [0.01, 2]) limits(2).expectSize({ cpuMin }, {});
  limits(2).expectSize({ cpuMax: 64 }, {});
});

test('parts that do not fit together are refused, those that were chosen before included', () => {
  expect(() => limits(4).expectSize({ cpuMax: 0.5 }, { cpuMin: 1 })).toThrow(/minimum of CPU is 1 cores/);
  expect(() => limits(4).expectSize({ memoryBytes: 1 }, {})).toThrow(/memory is 1 bytes/);
});

test('a branch that came from a larger machine is shown, changed otherwise, and started', () => {
  const stored = { cpuMin: 8, cpuMax: 16 };
  expect(limits(2).sizeOf(stored)).toMatchObject({ cpuMin: 8, cpuMax: 16 });
  limits(2).expectSize({ memoryBytes: GIB }, stored);
  expect(() => limits(2).expectSize({ cpuMin: 9 }, stored)).toThrow(/this machine has 2/);
});
