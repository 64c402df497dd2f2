import { join } from 'node:path';
import { formatLsn, type Lsn, parseLsn } from '@offshoot/types';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ctl } from '../fixture/command-line.js';
import { DaemonProcess } from '../fixture/daemon-process.js';
import { postgresUnder } from '../fixture/processes.js';
import { query, value } from '../fixture/query.js';
import { waitUntil } from '../fixture/wait-until.js';
import { World } from '../fixture/world.js';

/** Hardly any window, however fast this runs; and rounds when they are asked for. */
const retention = { historySeconds: 1, historyWalBytesMax: 8, intervalMs: 3_600_000, busyPercentMax: 100 };
const SLACK_BYTES = 1024 ** 2;
const total = 'select sum(balance)::int from account';
const outOfRange = (detail: string | RegExp) => ({
  problem: { code: 'branch_point_out_of_range', detail: expect.stringMatching(detail) },
});

let world: World;

beforeAll(async () => {
  world = await World.make(
    [
      'create table account (id int primary key, balance int not null)',
      'insert into account select i, 100 from generate_series(1, 500) i',
      'vacuum analyze',
    ],
    { tuning: { retention } },
  );
});

afterAll(async () => world?.[Symbol.asyncDispose]());

async function collect(): Promise<void> {
  expect(await ctl(world.data, 'gc', 'run', 'prod')).toMatchObject({ code: 0 });
}

async function setAll(branch: string, balance: number): Promise<void> {
  await query(await world.gatewayUrl(branch), `update account set balance = ${balance}`, 'vacuum account');
}

/** Where a branch has come to. */
async function endOf(branch: string): Promise<string> {
  const { lsn } = await world.client.createCheckpoint(branch, { name: 'end' });
  await world.client.deleteCheckpoint(branch, 'end');
  return lsn;
}

const sumOf = async (branch: string) => value(await world.gatewayUrl(branch), total);
const stored = async () => (await world.client.tenant('prod')).stored_bytes ?? 0;

async function killed(): Promise<void> {
  await world.daemon.end('SIGKILL');
  await waitUntil('no Postgres outlives its daemon', () => postgresUnder(world.data).length === 0);
  world.daemon = await DaemonProcess.start(world.data, [
    '--settings',
    join(world.scratch.path, 'settings.json'),
  ]);
}

test('a checkpoint outlives the window, and what is beside it does not', async () => {
  const { client } = world;
  await client.createBranch({ name: 'a', at: 'now' });
  await setAll('a', 101);
  const { lsn: kept } = await client.createCheckpoint('a', { name: 'kept' });
  await setAll('a', 50);
  const passed = await endOf('a');
  const then = String(await value(await world.gatewayUrl('a'), 'select clock_timestamp()::text'));
  await setAll('a', 0);
  await collect();

  const range = /^branch a can be read from \w+\/\w+ to \w+\/\w+.*, not at /;
  for (const at of [passed, formatLsn((parseLsn(kept) + 8n) as Lsn)]) {
    await expect(client.createBranch({ name: 'early', from: 'a', at })).rejects.toMatchObject(
      outOfRange(range),
    );
    await expect(client.restoreBranch('a', { at })).rejects.toMatchObject(outOfRange(range));
    await expect(client.createCheckpoint('a', { name: 'early', at })).rejects.toMatchObject(
      outOfRange(range),
    );
  }
  await expect(client.restoreBranch('a', { at: then })).rejects.toMatchObject(outOfRange(range));
  expect(await sumOf('a')).toBe(0);

  await client.createBranch({ name: 'of-kept', from: 'a', at: '@kept' });
  await client.createBranch({ name: 'of-lsn', from: 'a', at: kept });
  expect(await sumOf('of-kept')).toBe(50_500);
  expect(await sumOf('of-lsn')).toBe(50_500);
  // Once more, as the branches hold it too by now; and the other way round.
  await client.createCheckpoint('a', { name: 'twice', at: kept });
  await client.deleteCheckpoint('a', 'kept');
  await collect();
  expect((await client.restoreBranch('a', { at: '@twice', preserve: false })).at.lsn).toBe(kept);
  expect(await sumOf('a')).toBe(50_500);
});

test('a branch that was restored is never answered from the future that it left', async () => {
  await world.client.createBranch({ name: 'b', at: 'now' });
  await setAll('b', 1);
  const { lsn: kept } = await world.client.createCheckpoint('b', { name: 'kept' });
  await setAll('b', 2);
  const left = await endOf('b');
  const then = String(await value(await world.gatewayUrl('b'), 'select clock_timestamp()::text'));
  await world.client.createBranch({ name: 'of-left', from: 'b', at: left });
  await world.client.restoreBranch('b', { at: '@kept', preserve: false });
  for (const balance of [3, 4, 5]) await setAll('b', balance);
  await collect();
  // That LSN is there twice: on the timeline that it left, and, given up, on its own.
  for (const at of [left, then]) {
    await expect(world.client.createBranch({ name: 'wrong', from: 'b', at })).rejects.toMatchObject(
      outOfRange(/^branch b can be read/),
    );
  }
  await killed();
  await collect();
  expect(await sumOf('of-left')).toBe(1000);
  expect(await sumOf('b')).toBe(2500);
  // Where it left the former timeline both have; only that one has it still.
  expect((await world.client.createBranch({ name: 'of-start', from: 'b', at: kept })).at.lsn).toBe(kept);
  expect(await sumOf('of-start')).toBe(500);
  await world.client.restoreBranch('b', { at: '@kept', preserve: false });
  await collect();
  expect(await sumOf('b')).toBe(500);
  expect(await sumOf('of-left')).toBe(1000);
});

test('what a branch has left comes back once nothing holds it, and not before', async () => {
  await world.client.createBranch({ name: 'c', at: 'now' });
  await collect();
  const before = await stored();
  await query(
    await world.gatewayUrl('c'),
    "create table big as select n, md5(n::text) || repeat('x', 300) as text from generate_series(1, 20000) n",
  );
  await world.client.createCheckpoint('c', { name: 'big' });
  await world.client.resetBranch('c');
  expect(await value(await world.gatewayUrl('c'), "select to_regclass('big')")).toBeNull();
  await world.client.createBranch({ name: 'of-big', from: 'c', at: '@big' });
  await world.client.deleteCheckpoint('c', 'big');
  await killed();
  await collect();
  expect(await stored()).toBeGreaterThan(before + SLACK_BYTES);
  expect(await value(await world.gatewayUrl('of-big'), 'select count(distinct text)::int from big')).toBe(
    20_000,
  );
  await world.client.deleteBranch('of-big');
  await waitUntil('the room is free again', async () => (await stored()) < before + SLACK_BYTES, 30_000);
  expect((await world.client.tenant('prod')).garbage.branches_reclaimed).toBe(2);
  expect(await sumOf('c')).toBe(50_000);
});

test('what a restore has undone comes back once the branch’s history is past that, whatever still starts there', async () => {
  const { client } = world;
  await client.createBranch({ name: 'd', at: 'now' });
  await setAll('d', 7);
  const { lsn: clean } = await client.createCheckpoint('d', { name: 'clean' });
  await collect();
  const before = await stored();
  await query(
    await world.gatewayUrl('d'),
    "create table big as select n, md5(n::text) || repeat('x', 300) as text from generate_series(1, 20000) n",
  );
  await client.restoreBranch('d', { at: '@clean', preserve: false });
  await client.createBranch({ name: 'of-clean', from: 'd', at: '@clean' });
  await client.deleteCheckpoint('d', 'clean');
  await collect();
  const undone = await stored();
  expect(undone).toBeGreaterThan(before + SLACK_BYTES);
  await waitUntil('the room is free again', async () => {
    await setAll('d', 8);
    await collect();
    return (await stored()) < undone - SLACK_BYTES;
  });
  await killed();
  await collect();
  expect(await sumOf('of-clean')).toBe(3500);
  expect(await sumOf('d')).toBe(4000);
  const made = await world.client.createBranch({ name: 'of-d', from: 'd', at: clean });
  expect(made.at.lsn).toBe(clean);
  await world.client.resetBranch('of-d', { at: clean });
  expect(await sumOf('of-d')).toBe(3500);
});
