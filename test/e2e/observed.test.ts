import type { BranchStorage } from '@offshoot/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ctl } from '../fixture/command-line.js';
import { query } from '../fixture/query.js';
import { World } from '../fixture/world.js';

/** Hardly any window, however fast this runs; and rounds when they are asked for. */
const retention = { historySeconds: 1, historyWalBytesMax: 8, intervalMs: 3_600_000, busyPercentMax: 100 };

let world: World;

beforeAll(async () => {
  world = await World.make(
    [
      'create table t (n int, text text)',
      "insert into t select n, repeat('x', 500) from generate_series(1, 2000) n",
      'vacuum analyze',
    ],
    { tuning: { retention } },
  );
});

afterAll(() => world?.[Symbol.asyncDispose]());

async function collect(): Promise<void> {
  expect(await ctl(world.data, 'gc', 'run', 'prod')).toMatchObject({ code: 0 });
}

/** Production changes every page of the table, and has something after that for branches made before to be older than. */
async function changeProduction(): Promise<void> {
  await query(
    world.production.url(),
    'update t set n = n + 1',
    'vacuum t',
    'create table if not exists u ()',
  );
  await world.client.createBranch({ name: 'caught-up', at: 'now' });
  await world.client.deleteBranch('caught-up');
}

const storage = (branch: string): Promise<BranchStorage> => world.client.branchStorage(branch);

test('what a branch has of its own is measured when somebody asks', async () => {
  const { client } = world;
  await query(await world.fork('own'), "update t set text = repeat('y', 500)");
  await client.stopCompute('own');
  const { own, pinned, written_bytes } = await storage('own');
  // A table of 2000 rows of some 530 bytes, all of them made anew.
  expect(own?.pages).toBeGreaterThan(2 * Math.floor((2000 * 530) / 8192));
  expect(own?.versions).toBeGreaterThanOrEqual(own?.pages ?? Number.NaN);
  expect(written_bytes).toBeGreaterThan(own?.pages ?? Number.NaN);
  // Production has given up nothing yet that it needs.
  expect(pinned).toMatchObject({ bytes: 0, versions: 0 });
  expect((await client.branch('own')).own).toEqual(own);
  const { stdout } = await ctl(world.data, 'branch', 'show', 'own');
  expect(stdout).toMatch(/\nstored {4}\S+ [kM]B of its own, \d+ pages changed; at /);
  expect(stdout).toMatch(/\nkeeps {5}0 B of its ancestors alive; at /);
});

test('what a branch alone keeps of its ancestors is what goes with it, to the byte', async () => {
  const { client } = world;
  await client.deleteBranch('own');
  await changeProduction();
  await client.createBranch({ name: 'alone', at: 'now' });
  await client.createBranch({ name: 'of-alone', from: 'alone' });
  await changeProduction();
  await client.createBranch({ name: 'one', at: 'now' });
  const { base_lsn: shared } = await client.branch('one');
  await client.createBranch({ name: 'other', at: shared });
  await changeProduction();
  await collect();
  const { pinned } = await storage('alone');
  expect(pinned?.bytes).toBeGreaterThan(10_000);
  expect(pinned?.versions).toBeGreaterThan(100);
  // What both need neither keeps alone, and what comes of a branch keeps what that keeps.
  for (const name of ['one', 'other', 'of-alone']) {
    expect((await storage(name)).pinned, name).toMatchObject({ bytes: 0, versions: 0 });
  }
  const before = (await client.tenant('prod')).garbage;
  await client.deleteBranch('alone', { recursive: true });
  await collect();
  const { versions_removed, bytes_removed } = (await client.tenant('prod')).garbage;
  // Beside them go sizes and commit times, of which there are few.
  const versions = versions_removed - before.versions_removed - (pinned?.versions ?? 0);
  expect(versions).toBeGreaterThanOrEqual(0);
  expect(versions).toBeLessThan(100);
  expect(bytes_removed - before.bytes_removed - (pinned?.bytes ?? 0)).toBeLessThan(100_000);
  // The other of the two is alone from the next round on.
  await client.deleteBranch('other');
  await collect();
  expect((await storage('one')).pinned?.bytes).toBeGreaterThan(10_000);
});
