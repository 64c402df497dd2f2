import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DaemonProcess } from '../fixture/daemon-process.js';
import { ddlFaults } from '../fixture/ddl-faults.js';
import { mixedDdlTables } from '../fixture/ddl-steps.js';
import { killProduction } from '../fixture/kill-production.js';
import { MixedDdl } from '../fixture/mixed-ddl.js';
import { postgresUnder } from '../fixture/processes.js';
import { query, value, withDatabase } from '../fixture/query.js';
import { structureFaults } from '../fixture/structure-faults.js';
import { finishAllPrepared, TpcbLoad, tpcbFaults, tpcbTables } from '../fixture/tpcb-load.js';
import { waitUntil } from '../fixture/wait-until.js';
import { World } from '../fixture/world.js';
import { BranchesAndStandby } from '../oracle/branches-and-standby.js';

/** Longer by hand: OFFSHOOT_SOAK_SECONDS=180. */
const seconds = Number(process.env.OFFSHOOT_SOAK_SECONDS ?? 15);
const timeout = 240_000 + seconds * 8000;
const CYCLE_MS = 3000;
const KEPT_MAX = 6;
const AT_ONCE_MAX = 2;
/** Of the branches, so many are compared with a standby page by page. */
const COMPARED_EVERY = seconds > 60 ? 2 : 4;

/** What must be in a branch: noted before it was asked for. */
interface Promised {
  readonly acknowledged: ReadonlyMap<number, number>;
  readonly ticket: number;
  readonly databases: readonly string[];
  readonly dropped: readonly string[];
}

const load = new TpcbLoad(4);
const ddl = new MixedDdl(2);
const faults: string[] = [];
const kept = new Map<string, Promised>();

/** At rest, this is the same in production and in a branch of it. */
const CONTENT = `select (select string_agg(name || ':' || state, ',' order by name) from side) as side,
  (select md5(string_agg(aid || ':' || balance, ',' order by aid)) from accounts) as accounts,
  (select md5(string_agg(h::text, ',' order by client, n)) from history h) as history,
  (select md5(string_agg(d::text, ',' order by id)) from docs d) as docs,
  (select string_agg(relname || ':' || relkind::text, ',' order by relname) from pg_class where relpersistence = 'p' and oid > 16383) as relations,
  (select string_agg(datname, ',' order by datname) from pg_database) as databases`;

let world: World;
let standby: BranchesAndStandby;
let checked = 0;
let writtenTo = 0;

beforeAll(async () => {
  const parameters = {
    max_prepared_transactions: '20',
    max_wal_size: '64MB',
    // The standby comes for it in the end.
    wal_keep_size: '100GB',
    checkpoint_timeout: '30s',
    autovacuum: 'on',
    autovacuum_naptime: '1s',
  };
  world = await World.make(
    [...tpcbTables, ...mixedDdlTables, 'create extension amcheck', 'vacuum analyze'],
    { parameters },
    async (production, scratch) => {
      standby = await BranchesAndStandby.begin(production, scratch.path);
    },
  );
});

afterAll(async () => {
  await Promise.all([load.stop(), ddl.stop()]);
  // Whoever looks for a fault's cause needs what it was found in.
  if (process.env.OFFSHOOT_SOAK_KEEP !== undefined) await world.daemon.end('SIGTERM');
  else await world?.[Symbol.asyncDispose]();
});

function start(): void {
  load.start(world.production.url());
  ddl.start(world.production.url());
}

/** Makes a branch of production as it is now, and starts its compute. */
async function branch(name: string): Promise<Promised> {
  const before = {
    acknowledged: new Map(load.acknowledged),
    ticket: ddl.ticket,
    databases: [...ddl.databases],
    dropped: [...ddl.dropped],
  };
  await world.client.createBranch({ name, at: 'now', timeout_ms: 60_000 });
  // A removal may have begun before the branch's LSN.
  const databases = before.databases.filter((each) => ddl.databases.has(each));
  await world.client.startCompute(name);
  return { ...before, databases };
}

async function faultsOf(name: string, promised: Promised): Promise<string[]> {
  const url = await world.url(name);
  const found = [
    ...(await tpcbFaults(url, promised.acknowledged)),
    ...(await ddlFaults(url, promised.ticket)),
    ...(await databaseFaults(url, promised)),
  ];
  // Their locks would keep amcheck waiting; some become part of the branch, the others never were.
  await finishAllPrepared(url, checked % 2 === 0 ? 'commit' : 'rollback');
  found.push(...(await tpcbFaults(url, promised.acknowledged)), ...(await structureFaults(url)));
  return found;
}

async function databaseFaults(url: string, { databases, dropped }: Promised): Promise<string[]> {
  const found: string[] = [];
  const there = (await query(url, 'select datname from pg_database')).map((row) => row.datname);
  for (const name of dropped) if (there.includes(name)) found.push(`database ${name} was dropped`);
  for (const name of databases) {
    const own = await value(withDatabase(url, name), 'select count(*)::int from own where i > 0').catch(
      String,
    );
    if (own !== 100) found.push(`database ${name}: ${own}`);
  }
  const [newest] = databases.slice(-1);
  if (newest !== undefined) {
    const inside = withDatabase(url, newest);
    await query(inside, 'create extension if not exists amcheck');
    found.push(...(await structureFaults(inside)).map((fault) => `database ${newest}: ${fault}`));
  }
  return found;
}

/** Writes to a branch, stops and starts its compute; answers what is wrong then. */
async function faultsAfterWrites(name: string, promised: Promised): Promise<string[]> {
  const own = new TpcbLoad(2);
  for (const [client, n] of promised.acknowledged) own.acknowledged.set(client, n);
  own.start(await world.url(name));
  await waitUntil(`${name} is written to`, () => own.transactions > 100 || own.faults.length > 0, 60_000);
  const url = await world.url(name);
  await query(url, 'vacuum full accounts', 'create table mark as select 1 as n', 'reindex table history');
  await own.stop();
  writtenTo += own.transactions;
  await world.client.stopCompute(name);
  await world.client.startCompute(name);
  const again = await world.url(name);
  const found = [
    ...own.faults,
    ...(await tpcbFaults(again, own.acknowledged)),
    ...(await structureFaults(again)),
  ];
  if ((await value(again, 'select n from mark')) !== 1) found.push('the table made on the branch is gone');
  return found;
}

/** One branch's life: made, checked, written to; then removed, or kept for the end. */
async function cycle(name: string, promised: Promised, keep: boolean, compare = false): Promise<void> {
  try {
    const found = compare ? await standby.take(world.daemon, name) : [];
    found.push(...(await faultsOf(name, promised)));
    checked += 1;
    if (!keep) found.push(...(await faultsAfterWrites(name, promised)));
    if (found.length > 0) {
      const { base_lsn: lsn } = await world.client.branch(name);
      faults.push(...found.map((fault) => `${name} at ${lsn}: ${fault}`));
      await world.client.stopCompute(name);
      return;
    }
  } catch (error) {
    faults.push(`${name}: ${error instanceof Error ? error.stack : error}`);
    return;
  }
  await world.client.stopCompute(name);
  if (keep) kept.set(name, promised);
  else await world.client.deleteBranch(name);
}

/** While a branch's own commits go on: those acknowledged are there afterwards. */
async function killDaemon(): Promise<void> {
  const promised = await branch('bystander');
  const own = new TpcbLoad(2);
  await finishAllPrepared(await world.url('bystander'), 'rollback');
  own.start(await world.url('bystander'));
  await waitUntil('the bystander is written to', () => own.transactions > 50, 60_000);
  await world.daemon.end('SIGKILL');
  await own.stop();
  await waitUntil('no Postgres outlives its daemon', () => postgresUnder(world.data).length === 0);
  world.daemon = await DaemonProcess.start(world.data);
  await world.client.startCompute('bystander');
  for (const [client, n] of promised.acknowledged)
    own.acknowledged.set(client, Math.max(n, own.acknowledged.get(client) ?? 0));
  await cycle('bystander', { ...promised, acknowledged: own.acknowledged }, false);
}

async function killAndResume(): Promise<void> {
  await killProduction(world.production, async () => {
    await Promise.all([load.stop(), ddl.stop()]);
  });
  start();
}

/** A branch every few seconds until the deadline, the kills in between; answers how many. */
async function makeBranches(): Promise<number> {
  const deadline = Date.now() + seconds * 1000;
  const kills = [
    { at: deadline - seconds * 650, kill: killDaemon },
    { at: deadline - seconds * 350, kill: killAndResume },
  ];
  const running = new Set<Promise<void>>();
  let made = 0;
  while (Date.now() < deadline || kills.length > 0) {
    const began = Date.now();
    if (began >= (kills[0]?.at ?? Number.POSITIVE_INFINITY)) {
      await Promise.all(running);
      await kills.shift()?.kill();
    }
    const name = `branch-${made}`;
    const promised = await branch(name);
    const keep = made % 4 === 1 && kept.size < KEPT_MAX;
    const compare = made % COMPARED_EVERY === 0;
    if (compare) await standby.made();
    made += 1;
    const life: Promise<void> = cycle(name, promised, keep, compare).finally(() => running.delete(life));
    running.add(life);
    if (running.size >= AT_ONCE_MAX) await Promise.race(running);
    await sleep(Math.max(0, CYCLE_MS - (Date.now() - began)));
  }
  await Promise.all(running);
  return made;
}

test(`${seconds} s of TPC-B and DDL: every branch made meanwhile is right, and what a standby is there`, {
  timeout,
}, async () => {
  start();
  await waitUntil('there are commits', () => load.transactions > 100 && ddl.steps > 10, 60_000);
  const made = await makeBranches();
  await Promise.all([load.stop(), ddl.stop()]);
  await world.daemon.end('SIGKILL');
  await waitUntil('no Postgres outlives its daemon', () => postgresUnder(world.data).length === 0);
  world.daemon = await DaemonProcess.start(world.data);
  const again = [...kept];
  for (const [name, promised] of again) {
    await world.client.startCompute(name);
    await cycle(name, promised, false);
  }
  const promised = await branch('last');
  const [now, then] = await Promise.all([
    query(world.production.url(), CONTENT),
    query(await world.url('last'), CONTENT),
  ]);
  await cycle('last', promised, false, true);
  // Behind what is compared there has to be more WAL.
  await query(world.production.url(), 'select pg_switch_wal()');
  faults.push(...(await standby.compare()));
  process.stdout.write(`${summary(made, again.length)}\n`);
  expect([...load.faults, ...ddl.faults, ...faults]).toEqual([]);
  expect(then).toEqual(now);
  expect(again.length).toBeGreaterThan(0);
  // The first and the last at least, however slow the machine.
  expect(standby.branches).toBeGreaterThan(1);
});

function summary(made: number, rechecked: number): string {
  const counts = [...ddl.counts].map(([name, n]) => `${name} ${n}`).join(', ');
  return `${made + 2} branches (${rechecked} checked again after a restart), ${load.transactions} transactions on production,
    ${writtenTo} on branches, ${ddl.steps} steps of DDL (${counts}),
    ${standby.branches} branches are a standby's: ${standby.pages} pages and files the same, ${standby.served} pages served`;
}
