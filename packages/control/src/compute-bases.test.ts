import { parseBranchName } from '@offshoot/types';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ControlFixture, IMPORTED } from './testing/control-fixture.js';

let world: ControlFixture;

beforeEach(async () => {
  world = await ControlFixture.open();
});

afterEach(() => world[Symbol.asyncDispose]());

const record = (name: string) => world.pageServer.catalog.branchNamed(parseBranchName(name));
const kept = (name: string) => world.control.keptFor(record(name).timeline);

it.each([
  ['that may write', 'b', 'read_write'],
  ['on production itself', 'shop', 'read_only'],
  ['on a branch past its write quota', 'full', 'read_only'],
])('what a compute %s reads at is kept while it is there, and no longer', async (_, name, access) => {
  const { control, pageServer, driver } = world;
  if (name !== 'shop') await control.createBranch({ name, write_quota_bytes: 16 * 1024 * 1024 });
  const wal = { bytesBefore: 2 ** 40, startLsn: IMPORTED };
  if (name === 'full') await pageServer.catalog.recordUse(record(name).id, { wakes: 1, wal });
  expect(kept(name)).toEqual([]);
  let open = () => {};
  driver.startGate = new Promise((resolve) => {
    open = resolve;
  });
  const started = control.startCompute(name);
  await expect.poll(() => driver.starting).toBe(1);
  expect(kept(name)).toEqual([IMPORTED]);
  open();
  expect(await started).toMatchObject({ access });
  expect(kept(name)).toEqual([IMPORTED]);
  await control.stopCompute(name);
  expect(kept(name)).toEqual([]);
});

it('a reset branch’s compute keeps nothing of what it read before', async () => {
  const { control } = world;
  await control.createBranch({ name: 'b' });
  await control.startCompute('b');
  const { timeline } = record('b');
  await control.resetBranch('b', {});
  expect(control.keptFor(timeline)).toEqual([]);
  await control.startCompute('b');
  expect(control.keptFor(timeline)).toEqual([]);
  expect(kept('b')).toEqual([IMPORTED]);
});
