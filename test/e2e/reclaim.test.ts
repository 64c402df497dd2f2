import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DaemonProcess } from '../fixture/daemon-process.js';
import { query, value } from '../fixture/query.js';
import { waitUntil } from '../fixture/wait-until.js';
import { World } from '../fixture/world.js';

/** So slow that a daemon which is killed at once has hardly begun. */
const retention = { busyPercentMax: 2, portionEntriesMax: 50 };
const SLACK_BYTES = 512 * 1024;

let world: World;

beforeAll(async () => {
  world = await World.make(['create table t (n int)', 'insert into t values (7)'], {
    tuning: { retention },
  });
});

afterAll(() => world?.[Symbol.asyncDispose]());

const stored = async () => (await world.client.tenant('prod')).stored_bytes ?? 0;

/** A branch with some megabytes of its own, asleep. */
async function written(name: string): Promise<void> {
  const url = await world.fork(name);
  await query(
    url,
    "create table big as select n, md5(n::text) || repeat('x', 300) as text from generate_series(1, 20000) n",
    'create index on big (text)',
  );
  await world.client.stopCompute(name);
}

test('what a deleted branch had comes back, though the daemon is killed before it is done', async () => {
  const before = await stored();
  await written('b');
  const grown = await stored();
  expect(grown).toBeGreaterThan(before + 4 * 1024 ** 2);
  await world.client.deleteBranch('b');
  await world.daemon.end('SIGKILL');
  // The log of a branch that the catalog does not know is no branch's.
  const [tenant = ''] = readdirSync(join(world.data, 'tenants'));
  mkdirSync(join(world.data, 'tenants', tenant, 'wal', '77'), { recursive: true });
  world.daemon = await DaemonProcess.start(world.data);
  await waitUntil('the room is free again', async () => (await stored()) < before + SLACK_BYTES, 30_000);
  expect(readdirSync(join(world.data, 'tenants', tenant, 'wal'))).toEqual([]);
});

test('another branch uses it, and nobody else has lost anything', async () => {
  const bystander = await world.fork('bystander');
  await query(bystander, 'insert into t values (8)');
  await written('again');
  const most = await stored();
  await world.client.deleteBranch('again');
  await waitUntil('the room is free again', async () => (await stored()) < most - 4 * 1024 ** 2, 60_000);
  expect(await value(bystander, 'select sum(n)::int from t')).toBe(15);
  expect(await value(await world.fork('third'), 'select sum(n)::int from t')).toBe(7);
});
