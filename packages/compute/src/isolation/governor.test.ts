import { expect, test } from 'vitest';
import { Governor } from './governor.js';
import type { ComputeUse, Isolation } from './isolation.js';

const GIB = 2 ** 30;
const size = { cpuMin: 0.5, cpuMax: 4, memoryBytes: GIB };

/** Computes whose use a test holds, and a clock that goes on by a second with each look. */
function governed(means: 'cgroup' | 'priorities' = 'priorities') {
  let nowMs = 0;
  const isolation = { facts: { means } } as Isolation;
  const governor = new Governor({ isolation, lookMs: 1_000_000, now: () => nowMs });
  const add = (id: string) => {
    const use = { cpuSeconds: 0, heldBackSeconds: 0, memoryBytes: 0, processes: 6, wantsCpu: false };
    const compute = {
      use: use as ComputeUse | undefined,
      shares: [] as string[],
      ended: [] as string[],
      looks: 0,
    };
    const bounds = {
      look: () => {
        compute.looks += 1;
        return compute.use && { ...compute.use };
      },
      setShare: (cores: number, others: string) => compute.shares.push(`${cores} ${others}`),
      resize: () => {},
      kill: () => {},
      killedFor: () => undefined,
      remove: async () => {},
    };
    governor.add(id, bounds, size, (reason) => compute.ended.push(reason));
    return Object.assign(compute, {
      burn: (cores: number) => Object.assign(use, { cpuSeconds: use.cpuSeconds + cores }),
      set: use,
    });
  };
  const look = () => {
    nowMs += 1000;
    governor.look();
  };
  return { governor, add, look };
}

test('shares follow loads, and each compute is told whether others want the processor', () => {
  const { governor, add, look } = governed();
  const [a, b] = [add('a'), add('b')];
  a.burn(2);
  look();
  expect([a.shares.at(-1), b.shares.at(-1)]).toEqual(['4 idle', '4 busy']);
  expect(governor.usage('a')).toMatchObject({ cpuShare: 4, cpuUsed: 2, processes: 6 });
  // Kept from it altogether, it wants the processor all the same.
  b.set.wantsCpu = true;
  a.burn(4);
  look();
  expect([a.shares.at(-1), b.shares.at(-1)]).toEqual(['4 busy', '4 busy']);
  for (let n = 0; n < 30; n += 1) {
    a.burn(0.3);
    look();
  }
  expect(governor.usage('a')?.cpuShare).toBe(0.5);
  governor.resize('a', { cpuMin: 1, cpuMax: 2 });
  expect(a.shares.at(-1)).toBe('1 idle');
  governor.remove('a');
  governor.remove('b');
  expect(governor.usage('a')).toBeUndefined();
});

test('a compute with more memory than its size at two looks in a row is ended, where the kernel does not see to it', () => {
  for (const means of ['priorities', 'cgroup'] as const) {
    const { governor, add, look } = governed(means);
    const a = add('a');
    const looks = [2 * GIB, GIB / 2, 2 * GIB, 2 * GIB, 2 * GIB].map((memoryBytes) => {
      a.set.memoryBytes = memoryBytes;
      a.burn(1);
      look();
      return a.ended.length;
    });
    expect(looks).toEqual(means === 'cgroup' ? [0, 0, 0, 0, 0] : [0, 0, 0, 1, 1]);
    governor.remove('a');
  }
});

test('one that does nothing for long is looked at less often; one that has ended is no trouble', () => {
  const { governor, add, look } = governed();
  const a = add('a');
  for (let n = 0; n < 100; n += 1) look();
  expect(a.looks).toBeLessThan(40);
  a.use = undefined;
  for (let n = 0; n < 10; n += 1) look();
  governor.remove('a');
});
