import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AcknowledgedLoad, ledgerFaults, ledgerTables } from '../fixture/acknowledged-load.js';
import { ctl } from '../fixture/command-line.js';
import { query, value } from '../fixture/query.js';
import { structureFaults } from '../fixture/structure-faults.js';
import { waitUntil } from '../fixture/wait-until.js';
import { World } from '../fixture/world.js';

let world: World;

beforeAll(async () => {
  world = await World.make(
    [
      ...ledgerTables,
      `create table account (id int primary key, owner text not null, amount numeric not null)`,
      `insert into account select i, 'owner ' || i, i * 10 from generate_series(1, 20000) i`,
      'create index on account (owner)',
      'create sequence counter',
      'vacuum analyze',
    ],
    { parameters: { max_prepared_transactions: '10' } },
  );
});

afterAll(async () => world?.[Symbol.asyncDispose]());

/** Stops the branch's compute and starts it again; answers its new URL. */
async function again(branch: string): Promise<string> {
  await world.client.stopCompute(branch);
  await world.client.startCompute(branch);
  return world.url(branch);
}

async function computeOf(branch: string) {
  const compute = (await world.client.computes()).find((each) => each.branch === branch);
  if (compute === undefined) throw new Error(`no compute of ${branch}`);
  return compute;
}

test('commits wait for the page server, and nothing in the branch can change that for all', async () => {
  const url = await world.fork('standby');
  const [standby] = await query(url, 'select application_name, state, sync_state from pg_stat_replication');
  expect(standby).toEqual({ application_name: 'offshoot', state: 'streaming', sync_state: 'sync' });
  await query(url, `alter system set synchronous_standby_names = ''`, 'select pg_reload_conf()');
  expect(await value(url, 'show synchronous_standby_names')).toBe('offshoot');
  expect(await value(url, 'show synchronous_commit')).toBe('on');
  expect(await computeOf('standby')).toMatchObject({ durability: 'sync' });
});

test('what was written is there after a stop and a start: rows, DDL, sequences, subtransactions', async () => {
  const url = await world.fork('kept');
  await query(
    url,
    'alter table account add column code text',
    `update account set code = 'A-' || id`,
    'alter table account alter column code set not null',
    'create table ledger_of_accounts as select id as account, amount from account',
    'alter table ledger_of_accounts add primary key (account)',
    'drop index account_owner_idx',
    'delete from account where id % 10 = 0',
    `select nextval('counter') from generate_series(1, 100)`,
    'create schema tenant_1',
    'create materialized view tenant_1.totals as select count(*)::int as n from account',
    `create type mood as enum ('calm', 'busy')`,
    'create database beside',
    'create database copied strategy file_copy',
    'create role worker login',
    'create unlogged table scratch as select 1 as n',
  );
  await query(
    url,
    `do $$ begin
       create table sub (n int primary key);
       for i in 1..500 loop
         begin
           insert into sub values (i);
           if i % 3 = 0 then raise exception 'undone'; end if;
         exception when raise_exception then null;
         end;
       end loop;
     end $$`,
  );
  const kept = await again('kept');
  expect(await query(kept, `select count(*)::int as n, count(code)::int as codes from account`)).toEqual([
    { n: 18000, codes: 18000 },
  ]);
  expect(await value(kept, 'select count(*)::int from ledger_of_accounts')).toBe(20000);
  expect(await value(kept, 'select count(*)::int from sub')).toBe(334);
  expect(Number(await value(kept, `select nextval('counter')`))).toBeGreaterThan(100);
  expect(await value(kept, 'select n from tenant_1.totals')).toBe(18000);
  expect(await value(kept, `select 'calm'::mood::text`)).toBe('calm');
  expect(await value(await world.url('kept', 'beside'), 'select current_database()')).toBe('beside');
  const copied = await world.url('kept', 'copied');
  expect(await value(copied, `select count(*)::int > 100 from pg_class`)).toBe(true);
  expect(await value(kept, `select count(*)::int from pg_roles where rolname = 'worker'`)).toBe(1);
  // As after any crash of Postgres.
  expect(await value(kept, 'select count(*)::int from scratch')).toBe(0);
  await expect(query(kept, `select 'account_owner_idx'::regclass`)).rejects.toThrow(/account_owner_idx/);
  expect(await structureFaults(kept)).toEqual([]);
});

test('several stops in a row, each after more writes, and one after none', async () => {
  let url = await world.fork('often');
  await query(url, 'create table often (round int, body text)');
  for (let round = 1; round <= 4; round += 1) {
    await query(url, `insert into often select ${round}, repeat('x', 100) from generate_series(1, 1000)`);
    if (round === 2) await query(url, 'vacuum full often', 'create index on often (round)');
    url = await again('often');
    expect(await value(url, 'select count(*)::int from often')).toBe(1000 * round);
  }
  url = await again('often');
  expect(await value(url, 'select count(distinct round)::int from often')).toBe(4);
  expect(await structureFaults(url)).toEqual([]);
});

test('a large table that is loaded, indexed and partly deleted', async () => {
  const url = await world.fork('large');
  const sums = `select count(*)::int as n, sum(id)::text as ids, md5(string_agg(left(body, 8), '' order by id)) as digest from big`;
  await query(
    url,
    `create table big as select i as id, repeat(md5(i::text), 1 + i % 8) as body from generate_series(1, 200000) i`,
    'create index on big (id)',
    'create index on big using hash (body)',
    'create index on big using brin (id)',
    'delete from big where id % 7 = 0',
    'vacuum (analyze) big',
    `update big set body = body || 'x' where id % 11 = 0`,
  );
  const before = await query(url, sums);
  const after = await again('large');
  expect(await query(after, sums)).toEqual(before);
  expect(await structureFaults(after)).toEqual([]);
  const byHash = `set enable_seqscan = off; select count(*)::int from big where body = repeat(md5('8'), 1)`;
  await expect(value(after, byHash.split('; ')[1] ?? '')).resolves.toBe(
    await value(after, `select count(*)::int from big where body || '' = repeat(md5('8'), 1)`),
  );
});

test('a prepared transaction is committed after a stop and a start; another is rolled back', async () => {
  const url = await world.fork('prepared');
  await query(url, 'begin', `insert into account values (-1, 'late', 1)`, `prepare transaction 'stays'`);
  await query(url, 'begin', 'delete from account where id = 1', `prepare transaction 'goes'`);
  const after = await again('prepared');
  expect(await query(after, 'select gid from pg_prepared_xacts order by gid')).toEqual([
    { gid: 'goes' },
    { gid: 'stays' },
  ]);
  expect(await value(after, 'select count(*)::int from account where id = -1')).toBe(0);
  await query(after, `commit prepared 'stays'`, `rollback prepared 'goes'`);
  const last = await again('prepared');
  expect(await value(last, 'select count(*)::int from account where id in (-1, 1)')).toBe(2);
  expect(await query(last, 'select gid from pg_prepared_xacts')).toEqual([]);
});

test('a branch of a branch of a branch, made while the parent goes on writing, holds what was acknowledged', async () => {
  const load = new AcknowledgedLoad(4);
  load.start(await world.fork('level-1'));
  await waitUntil('there are commits', () => load.commits > 200);
  const parents = ['level-1', 'level-2', 'level-3'];
  const seen = new Map<string, Map<number, number>>();
  for (const [depth, parent] of parents.entries()) {
    const acknowledged = new Map(load.acknowledged);
    const child = `level-${depth + 2}`;
    await world.client.createBranch({ name: child, from: parent });
    seen.set(child, acknowledged);
    await world.client.startCompute(child);
    // Each level's load goes on on its own branch from here on.
    await load.stop();
    const fork = new AcknowledgedLoad(4);
    for (const [client, n] of acknowledged) fork.acknowledged.set(client, n);
    expect(await ledgerFaults(await world.url(child), fork)).toEqual([]);
    load.acknowledged.clear();
    load.start(await world.url(child));
    await waitUntil('there are commits on the child', () => load.commits > 200);
  }
  await load.stop();
  expect(await ledgerFaults(await world.url('level-4'), load)).toEqual([]);
  for (const branch of [...parents, 'level-4']) {
    expect(await structureFaults(await world.url(branch))).toEqual([]);
    await world.client.stopCompute(branch);
  }
  await world.client.startCompute('level-4');
  expect(await ledgerFaults(await world.url('level-4'), load)).toEqual([]);
  await expect(world.client.deleteBranch('level-2')).rejects.toThrow(/level-3/);
});

test('a commit that did not wait is in a branch made after it', async () => {
  const url = await world.fork('careless');
  for (let i = 0; i < 5; i += 1) {
    await query(url, 'set synchronous_commit = off', `insert into account values (${-10 - i}, 'x', 0)`);
    await world.client.createBranch({ name: `careless-${i}`, from: 'careless' });
    await world.client.startCompute(`careless-${i}`);
    const seen = await value(
      await world.url(`careless-${i}`),
      'select count(*)::int from account where id <= -10',
    );
    expect(seen).toBe(i + 1);
    await world.client.deleteBranch(`careless-${i}`);
  }
});

test('durability=async: commits do not wait, an orderly stop loses nothing, and the choice can be changed', async () => {
  const made = await ctl(
    world.data,
    'branch',
    'create',
    'fast',
    '--from',
    'prod',
    '--durability',
    'async',
    '--json',
  );
  expect(JSON.parse(made.stdout).branch).toMatchObject({ durability: 'async' });
  await world.client.startCompute('fast');
  let url = await world.url('fast');
  expect(await value(url, 'show synchronous_standby_names')).toBe('');
  expect(await value(url, 'select sync_state from pg_stat_replication')).toBe('async');
  await query(url, `insert into account select -i, 'bulk', 0 from generate_series(1, 50000) i`);
  await world.client.createBranch({ name: 'of-fast', from: 'fast' });
  await world.client.startCompute('of-fast');
  expect(await value(await world.url('of-fast'), 'select count(*)::int from account')).toBe(70000);
  await query(url, `insert into account values (0, 'last', 0)`);
  url = await again('fast');
  expect(await value(url, 'select count(*)::int from account')).toBe(70001);
  await ctl(world.data, 'branch', 'update', 'fast', '--durability', 'sync');
  expect(await computeOf('fast')).toMatchObject({ durability: 'async' });
  expect(await world.client.branch('fast')).toMatchObject({ durability: 'sync' });
  expect(await value(await again('fast'), 'show synchronous_standby_names')).toBe('offshoot');
  expect((await ctl(world.data, 'branch', 'list')).stdout).toMatch(/DURABILITY.*\n/);
  expect((await ctl(world.data, 'branch', 'create', 'no', '--durability', 'maybe')).code).toBe(2);
});

test('a deleted branch leaves no log', async () => {
  const logs = join(world.data, 'tenants', (await world.client.tenant('prod')).id, 'wal');
  const before = readdirSync(logs);
  const url = await world.fork('gone');
  await query(url, 'create table gone as select generate_series(1, 1000) n');
  const its = readdirSync(logs).filter((name) => /^\d+$/.test(name) && !before.includes(name));
  expect(its).toHaveLength(1);
  await world.client.deleteBranch('gone');
  expect(readdirSync(logs)).not.toContain(its[0]);
});

test('a branch that sleeps leaves no log: all of it is in its pages', async () => {
  const logs = join(world.data, 'tenants', (await world.client.tenant('prod')).id, 'wal');
  const before = readdirSync(logs);
  const url = await world.fork('asleep');
  await query(url, 'create table t as select generate_series(1, 1000) n');
  const its = readdirSync(logs).filter((name) => /^\d+$/.test(name) && !before.includes(name));
  expect(its).toHaveLength(1);
  await world.client.stopCompute('asleep');
  await expect.poll(() => readdirSync(logs), { timeout: 30_000 }).not.toContain(its[0]);
  await world.client.startCompute('asleep');
  expect(await value(await world.url('asleep'), 'select count(*)::int from t')).toBe(1000);
  await world.client.deleteBranch('asleep');
});

test('the receiver comes back when its connection breaks; commits wait meanwhile', async () => {
  const url = await world.fork('broken-line');
  await query(url, 'create table marks (n int)');
  for (let n = 1; n <= 3; n += 1) {
    await query(
      url,
      'select pg_terminate_backend(pid) from pg_stat_replication',
      `insert into marks values (${n})`,
    );
  }
  expect(await value(await again('broken-line'), 'select count(*)::int from marks')).toBe(3);
});

test('a compute whose WAL is gone is stopped, with the reason; what it had acknowledged is kept', async () => {
  const url = await world.fork('cut-off');
  await query(url, 'create table marks as select 1 as n');
  const holder = new pg.Client({ connectionString: url });
  holder.on('error', () => undefined);
  await holder.connect();
  // No receiver can come back, so that the slot can be dropped and its WAL removed.
  const pids = await holder.query('select pid from pg_stat_replication');
  await holder.query(`alter system set max_wal_size = '32MB'`);
  expect(pids.rowCount).toBe(1);
  await holder.query(`set synchronous_commit = local`);
  await holder.query(
    `do $$ begin
       for i in 1..2000 loop
         perform pg_terminate_backend(pid) from pg_stat_replication;
         begin
           perform pg_drop_replication_slot('offshoot');
           exit;
         exception when object_in_use or undefined_object then perform pg_sleep(0.002);
         end;
       end loop;
       for i in 1..4 loop perform pg_switch_wal(); perform pg_logical_emit_message(false, 'x', 'x'); end loop;
     end $$`,
  );
  await holder.query('checkpoint').catch(() => undefined);
  await holder.end().catch(() => undefined);
  // Either the receiver was quicker, or it finds nothing to go on with.
  const state = () => world.client.branch('cut-off').then(({ compute }) => compute);
  await waitUntil('it is known what became of it', async () => {
    if ((await state()) === 'crashed') return true;
    return query(url, 'insert into marks values (2)').then(
      () => true,
      () => false,
    );
  });
  if ((await state()) === 'crashed') {
    expect((await computeOf('cut-off')).reason).toMatch(/WAL/);
    await world.client.startCompute('cut-off');
  }
  expect(await value(await world.url('cut-off'), 'select count(*)::int from marks where n = 1')).toBe(1);
});
