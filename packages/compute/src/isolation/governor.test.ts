import { expect, test } from 'vitest';
import { Governor } from './governor.js';
import type { ComputeUse, Isolation, MostCores } from './isolation.js';

const GIB = 2 ** 30;
const size = { cpuMin: 0.5, cpuMax: 4, memoryBytes: GIB };

/** Computes whose use a test holds, and a clock that goes on by a second with each look. */
function governed(means: 'cgroup' | 'priorities' = 'priorities') {
  let nowMs = 0;
  const isolation = { facts: { means } } as Isolation;
  const machine = { scarce: true };
  const time = { all: 0, unused: 0 };
  const processorTime = () => {
    time.all += 100;
    if (!machine.scarce) time.unused += 50;
    return { ...time };
  };
  const governor = new Governor({ isolation, lookMs: 1_000_000, now: () => nowMs, processorTime });
  const add = (id: string) => {
    const use = { cpuSeconds: 0, memoryBytes: 0, processes: 6, busyProcesses: 0 };
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
      setShare: (cores: number, most: MostCores | undefined) =>
        compute.shares.push(
          `${cores} ${most === undefined ? 'freely' : `of ${most.ofCompute}, ${most.ofProcess}`}`,
        ),
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
  return { governor, add, look, machine };
}

test('whoever takes much while others want the processor goes down to its minimum, and up again when they do not', () => {
  const { governor, add, look, machine } = governed();
  const [hog, other] = [add('hog'), add('other')];
  const rounds = (n: number, otherCores: number) => {
    for (let round = 0; round < n; round += 1) {
      hog.burn(4 - otherCores);
      other.burn(otherCores);
      look();
    }
    return [hog.shares.at(-1), other.shares.at(-1)];
  };
  machine.scarce = false;
  expect(rounds(2, 0.2)).toEqual(['4 freely', '4 freely']);
  machine.scarce = true;
  expect(rounds(1, 0.2)).toEqual(['2 of 4, 4', '4 of 4, 4']);
  expect(rounds(9, 0.2)).toEqual(['0.5 of 4, 4', '4 of 4, 4']);
  expect(governor.usage('hog')).toMatchObject({ cpuShare: 0.5, cpuUsed: expect.closeTo(3.8), processes: 6 });
  // Two that take much have the same.
  expect(rounds(9, 2)).toEqual(['0.5 of 0.5, 0.5', '0.5 of 0.5, 0.5']);
  expect(rounds(1, 0)).toEqual(['0.625 freely', '1 freely']);
  // Kept from it altogether, it wants the processor all the same.
  Object.assign(other.set, { busyProcesses: 4 });
  Object.assign(hog.set, { busyProcesses: 8 });
  expect(rounds(1, 0)).toEqual(['0.5 of 2, 0.5', '2 of 2, 0.5']);
  governor.resize('hog', { cpuMin: 3, cpuMax: 4 });
  expect(hog.shares.at(-1)).toBe('3 freely');
  governor.remove('hog');
  governor.remove('other');
  expect(governor.usage('hog')).toBeUndefined();
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
