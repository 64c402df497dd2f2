import { readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { formatLsn, type Lsn, parseLsn } from '@offshoot/types';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ctl } from '../fixture/command-line.js';
import { DaemonProcess } from '../fixture/daemon-process.js';
import { mixedDdlTables } from '../fixture/ddl-steps.js';
import { MixedDdl } from '../fixture/mixed-ddl.js';
import { postgresUnder } from '../fixture/processes.js';
import { query, value } from '../fixture/query.js';
import { structureFaults } from '../fixture/structure-faults.js';
import { finishAllPrepared, TpcbLoad, tpcbFaults, tpcbTables } from '../fixture/tpcb-load.js';
import { waitUntil } from '../fixture/wait-until.js';
import { World } from '../fixture/world.js';
import { BranchesAndStandby } from './branches-and-standby.js';
import { placeOf } from './full-backup.js';
import { PageStream } from './page-stream.js';

/** Longer by hand: OFFSHOOT_SOAK_SECONDS=180. */
const seconds = Number(process.env.OFFSHOOT_SOAK_SECONDS ?? 5);
const timeout = 240_000 + seconds * 8000;
/** A window of a second, and rounds nearly without a pause. */
const retention = { historySeconds: 1, intervalMs: 100, busyPercentMax: 60, portionEntriesMax: 200 };
/** Branches that are compared with a standby, made one after the other. */
const COMPARED = seconds > 60 ? 8 : 2;

const load = new TpcbLoad(2);
const ddl = new MixedDdl(1);
const acknowledged = new Map<string, ReadonlyMap<number, number>>();
const faults: string[] = [];
let world: World;
let standby: BranchesAndStandby;

beforeAll(async () => {
  const parameters = {
    max_prepared_transactions: '20',
    max_wal_size: '64MB',
    // The standby comes for it in the end.
    wal_keep_size: '100GB',
    autovacuum: 'on',
    autovacuum_naptime: '1s',
  };
  world = await World.make(
    [...tpcbTables, ...mixedDdlTables, 'create extension amcheck', 'vacuum analyze'],
    { parameters, tuning: { retention } },
    async (production, scratch) => {
      standby = await BranchesAndStandby.begin(production, scratch.path);
    },
  );
});

afterAll(async () => {
  await Promise.all([load.stop(), ddl.stop()]);
  await world?.[Symbol.asyncDispose]();
});

const readableFrom = async () => parseLsn((await world.client.tenant('prod')).readable_from_lsn ?? '0/0');

async function branch(name: string): Promise<bigint> {
  const before = new Map(load.acknowledged);
  const { at } = await world.client.createBranch({ name, at: 'now', timeout_ms: 60_000 });
  acknowledged.set(name, before);
  return parseLsn(at.lsn);
}

/** The window has left the LSN behind. */
async function isPast(lsn: bigint): Promise<void> {
  await waitUntil('the window has moved on', async () => (await readableFrom()) > lsn, 60_000);
}

async function restart(): Promise<void> {
  await world.daemon.end('SIGKILL');
  await waitUntil('no Postgres outlives its daemon', () => postgresUnder(world.data).length === 0);
  world.daemon = await DaemonProcess.start(world.data, [
    '--settings',
    join(world.scratch.path, 'settings.json'),
  ]);
}

/** Made, written to, and gone again. */
async function passing(name: string): Promise<void> {
  await branch(name);
  await world.client.startCompute(name);
  const url = await world.url(name);
  await finishAllPrepared(url, 'rollback');
  await query(url, "create table own as select n, repeat('x', 200) from generate_series(1, 3000) n");
  await world.client.createBranch({ name: `of-${name}`, from: name });
  await world.client.deleteBranch(`of-${name}`);
  await world.client.deleteBranch(name);
}

test(`${seconds} s of load with a window of a second: branches stay what a standby is there`, {
  timeout,
}, async () => {
  load.start(world.production.url());
  ddl.start(world.production.url());
  await waitUntil('there are commits', () => load.transactions > 50 && ddl.steps > 5, 60_000);
  const lsns: bigint[] = [];
  const deadline = Date.now() + seconds * 1000;
  for (let made = 0; Date.now() < deadline || made < COMPARED; made += 1) {
    if (made < COMPARED) {
      lsns.push(await branch(`kept-${made}`));
      await standby.made();
      // One reads and writes while its parent's history goes.
      if (made === 0) await world.client.startCompute('kept-0');
    }
    await passing(`passing-${made}`);
    if (made === COMPARED - 1 || made % 4 === 3) await restart();
    await isPast(lsns.at(-1) ?? 0n);
    if (made === 0) faults.push(...(await structureFaults(await world.url('kept-0'))));
  }
  const leased = parseLsn((await world.client.tenant('prod')).last_record_lsn ?? '0/0');
  expect(await lease(leased)).toBeGreaterThan(Date.now());
  // One that only reads stays at its LSN, which the window leaves behind.
  await world.client.startCompute('prod');
  const reader = await world.url('prod');
  const then = parseLsn((await world.client.tenant('prod')).last_record_lsn ?? '0/0');
  await isPast(then);
  faults.push(...(await tpcbFaults(reader, new Map())));
  expect(await answerAt(leased)).toBe('GetPage');
  expect(await lease(leased + 16n)).toBeNull();
  await Promise.all([load.stop(), ddl.stop()]);

  for (const [at, lsn] of lsns.entries()) {
    const name = `kept-${at}`;
    faults.push(...(await standby.take(world.daemon, name)));
    await world.client.startCompute(name);
    const url = await world.url(name);
    faults.push(...(await tpcbFaults(url, acknowledged.get(name) ?? new Map())));
    await finishAllPrepared(url, 'rollback');
    faults.push(...(await structureFaults(url)));
    // Production too can be read there and nowhere near.
    expect(await answerAt(lsn)).toBe('GetPage');
    expect(await answerAt(lsn + 8n)).toMatch(/is not kept; readable are \w+\/\w+ to \w+\/\w+$/);
    await world.client.stopCompute(name);
  }
  await query(world.production.url(), 'select pg_switch_wal()');
  faults.push(...(await standby.compare()));
  expect([...load.faults, ...ddl.faults, ...faults]).toEqual([]);
  expect(standby.branches).toBe(COMPARED);
  process.stdout.write(`\n${standby.pages} pages and files the same, ${standby.served} pages served\n`);
});

/** Until when an LSN of production can be read, whatever becomes of the window; null: it cannot any more. */
async function lease(lsn: bigint): Promise<number | null> {
  const { socket, tenant, timeline } = await placeOf(world.daemon, 'prod');
  const url = `postgresql://x@/x?host=${encodeURIComponent(dirname(socket))}&port=64000`;
  const until = await value(url, `lease lsn ${tenant} ${timeline} ${formatLsn(lsn as Lsn)}`);
  return until === null ? null : Number(until);
}

/** What the page service answers to a request for a page of production at an LSN. */
async function answerAt(lsn: bigint): Promise<string> {
  using stream = await PageStream.open(await placeOf(world.daemon, 'prod'), lsn as Lsn);
  const rel = { spcnode: 1664, dbnode: 0, relnode: 1262, fork: 0 };
  const [answer] = await stream.ask([{ kind: 'GetPage', rel, block: 0 }]);
  return answer?.kind === 'Error' ? answer.message : String(answer?.kind);
}

test('where the window has been, nothing begins', async () => {
  const { readable_from_lsn: from = '', last_record_lsn: to = '' } = await world.client.tenant('prod');
  const early = `0/${(parseLsn(from) - 8n).toString(16).toUpperCase()}`;
  await expect(world.client.createBranch({ name: 'early', at: early })).rejects.toMatchObject({
    problem: {
      code: 'branch_point_out_of_range',
      detail: expect.stringContaining(`can be read from ${from} to ${to}`),
    },
  });
  await expect(
    world.client.createBranch({ name: 'early', at: '2020-01-01T00:00:00Z' }),
  ).rejects.toMatchObject({ problem: { code: 'branch_point_out_of_range' } });
});

test('what is kept can be changed, and what was removed is told', async () => {
  const { client } = world;
  expect((await client.tenant('prod')).history).toEqual({ seconds: 1, wal_bytes_max: 0 });
  const kept = await client.updateTenant('prod', { history_seconds: 3600, history_wal_bytes_max: 2 ** 40 });
  expect(kept.history).toEqual({ seconds: 3600, wal_bytes_max: 2 ** 40 });
  const run = await ctl(world.data, 'gc', 'run', 'prod', '--json');
  const [{ garbage, readable_from_lsn: from }] = JSON.parse(run.stdout).tenants;
  expect(garbage.rounds).toBeGreaterThan(0);
  expect(garbage.versions_removed).toBeGreaterThan(100);
  expect(garbage.damaged).toBe(0);
  await query(world.production.url(), 'create table after_all as select 1 as n');
  const ended = await ctl(world.data, 'gc', 'run');
  expect(ended.stdout).toMatch(/history kept {4}1 h before the newest commit, no more than 1\.0 TB of WAL/);
  expect((await client.tenant('prod')).readable_from_lsn).toBe(from);
  expect((await client.branch('kept-0')).own).toMatchObject({ bytes: expect.any(Number) });
  expect((await ctl(world.data, 'branch', 'show', 'kept-0')).stdout).toMatch(
    / of its own, \d+ pages changed; at /,
  );
  const again = await client.updateTenant('prod', { history_seconds: null, history_wal_bytes_max: null });
  expect(again.history).toEqual({ seconds: 1, wal_bytes_max: 0 });
});

test('what is stored levels off while production changes the same rows again and again', async () => {
  const url = world.production.url();
  await query(url, "create table same as select n, repeat('x', 100) as x from generate_series(1, 5000) n");
  const rewrite = async (times: number) => {
    for (let time = 0; time < times; time += 1) await query(url, 'update same set n = -n', 'vacuum same');
    const end = parseLsn(String(await value(url, 'select pg_current_wal_flush_lsn()')));
    // Time goes by commits.
    await waitUntil('the window has moved on', async () => {
      await query(url, 'update same set n = n where n = 1');
      return (await readableFrom()) > end;
    });
  };
  const stored = async () => (await world.client.tenant('prod')).stored_bytes ?? 0;
  const [tenant = ''] = readdirSync(join(world.data, 'tenants'));
  const fileBytes = () => statSync(join(world.data, 'tenants', tenant, 'data.mdb')).size;
  await rewrite(10);
  const before = await stored();
  const seen: { written: number; stored: number; file: number }[] = [];
  // What the first round takes is what later ones find free.
  for (let round = 0; round < 3; round += 1) {
    const from = await value(url, 'select pg_current_wal_lsn()');
    await rewrite(12);
    const written = Number(await value(url, `select pg_current_wal_lsn() - '${from}'`));
    await waitUntil('it is what it was', async () => (await stored()) < before + written / 5, 60_000);
    seen.push({ written, stored: await stored(), file: fileBytes() });
  }
  process.stdout.write(`\n${JSON.stringify({ before, seen })}\n`);
  const [, second, last] = seen;
  expect(last?.written).toBeGreaterThan(12 * 1024 ** 2);
  expect(last?.file).toBeLessThan((second?.file ?? 0) + (last?.written ?? 0) / 4);
});
