import { expect, test } from 'vitest';
import { DiskGuard } from './disk-guard.js';

const GIB = 2 ** 30;

function guarded(
  sizes: Record<string, number>,
  settings: { localBytesMax: number; diskFreeBytesMin: number },
) {
  const world = { freeBytes: 100 * GIB, measured: 0, ended: [] as string[], sizes };
  const guard = new DiskGuard({
    ...settings,
    checkMs: 1_000_000,
    disk: async () => ({ freeBytes: world.freeBytes }),
    users: () =>
      Object.keys(world.sizes).map((name) => ({
        measure: async () => {
          world.measured += 1;
          return world.sizes[name] ?? 0;
        },
        exceed: (reason) => world.ended.push(`${name}: ${reason}`),
      })),
  });
  return { world, guard };
}

test('nothing is measured while the disk does not fill', async () => {
  const { world, guard } = guarded({ a: 1 }, { localBytesMax: 10 * GIB, diskFreeBytesMin: GIB });
  await guard.check();
  world.measured = 0;
  world.freeBytes -= 1000;
  await guard.check();
  world.freeBytes += 5 * GIB;
  await guard.check();
  expect(world.measured).toBe(0);
  world.freeBytes -= GIB;
  await guard.check();
  expect(world.measured).toBe(1);
  guard.close();
});

test('a disk that cannot be looked at is told of once, until it can', async () => {
  const told: string[] = [];
  let state: 'broken' | 'whole' = 'broken';
  const guard = new DiskGuard({
    localBytesMax: GIB,
    diskFreeBytesMin: GIB,
    checkMs: 1_000_000,
    disk: async () => {
      if (state === 'broken') throw new Error('EIO');
      return { freeBytes: 100 * GIB };
    },
    users: () => [],
    onTrouble: (message, { error }) => told.push(`${message}: ${String(error)}`),
  });
  await guard.check();
  await guard.check();
  expect(told).toEqual([expect.stringMatching(/not guarded: Error: EIO/)]);
  state = 'whole';
  await guard.check();
  state = 'broken';
  await guard.check();
  expect(told).toHaveLength(2);
  guard.close();
});

test('whoever has too much is ended', async () => {
  const sizes = { a: GIB, b: 11 * GIB, c: 12 * GIB };
  const { world, guard } = guarded(sizes, { localBytesMax: 10 * GIB, diskFreeBytesMin: GIB });
  await guard.check();
  expect(world.ended.map((each) => each.slice(0, 2))).toEqual(['c:', 'b:']);
  expect(world.ended[1]).toMatch(/took 11811160064 bytes, and may take 10737418240/);
  guard.close();
});

test('when the disk is nearly full, the largest is ended', async () => {
  const limits = { localBytesMax: 10 * GIB, diskFreeBytesMin: GIB };
  const { world, guard } = guarded({ a: GIB / 16, b: GIB / 4, c: GIB / 8 }, limits);
  world.freeBytes = GIB - 1;
  await guard.check();
  expect(world.ended).toEqual([expect.stringMatching(/^b: the disk had 1073741823 bytes free/)]);
  guard.close();
});

test('nobody is ended for a disk that somebody else has filled', async () => {
  const limits = { localBytesMax: 10 * GIB, diskFreeBytesMin: GIB };
  const { world, guard } = guarded({ a: 4_000_000, b: 3_000_000 }, limits);
  world.freeBytes = GIB - 1;
  await guard.check();
  expect(world.ended).toEqual([]);
  guard.close();
});
