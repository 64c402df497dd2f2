import { parseLsn } from '@offshoot/types';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ctl } from '../fixture/command-line.js';
import { query, value } from '../fixture/query.js';
import { waitUntil } from '../fixture/wait-until.js';
import { World } from '../fixture/world.js';

let world: World;
let url: string;

beforeAll(async () => {
  world = await World.make(
    [
      'create extension amcheck',
      'create table news (id int primary key, body text)',
      `insert into news select n, repeat('x', 100) from generate_series(1, 5000) n`,
      'create unlogged table fleeting (id int)',
      'create sequence numbers',
      'create role app login',
    ],
    // More of each than the compute's own defaults, which a standby must not fall short of.
    {
      // Whoever comes when nobody is connected gets the newest.
      tuning: { wake: { renewAfterSeconds: 0 } },
      // Then hint bits make pages dirty on a standby, too.
      dataChecksums: 'off',
      parameters: {
        max_connections: '150',
        max_worker_processes: '12',
        max_prepared_transactions: '3',
        max_locks_per_transaction: '80',
        max_wal_senders: '12',
        track_commit_timestamp: 'on',
      },
    },
  );
  url = await world.gatewayUrl('prod');
});

afterAll(async () => world[Symbol.asyncDispose]());

const production = () => world.production.url();

/** Runs statements on production, and answers when what they wrote has arrived. */
async function write(...statements: string[]): Promise<void> {
  const [row] = await query<{ lsn: string }>(
    production(),
    ...statements,
    // A record behind it, so that what came before is whole.
    `select pg_logical_emit_message(false, 'test', 'x')::text as lsn`,
  );
  await waitUntil('it has arrived', async () => {
    const { last_record_lsn: lsn } = await world.client.tenant('prod');
    return parseLsn(lsn ?? '0/0') >= parseLsn(row?.lsn ?? '');
  });
}

test('connecting to production’s own history shows its newest data', async () => {
  await write(`insert into news values (6000, 'new')`, 'analyze news', 'create index on news (body)');
  expect((await world.client.branch('prod')).compute).toBe('stopped');
  expect(await value(url, 'select count(*)::int from news')).toBe(5001);
  expect(await value(url, 'select pg_is_in_recovery()')).toBe(true);
  expect(await world.client.branch('prod')).toMatchObject({
    access: 'read_only',
    compute: 'running',
    activity: { wakes: 1 },
  });
  const { stdout } = await ctl(world.data, 'compute', 'start', 'prod');
  expect(stdout).toMatch(/prod is running, read-only, as of [0-9A-F]+\/[0-9A-F]+/);
});

test('nothing can be written, whoever asks', async () => {
  // So that it is one compute all the time.
  const held = new pg.Client({ connectionString: url });
  await held.connect();
  for (const statement of [
    `insert into news values (1, 'x')`,
    'delete from news',
    'create table made_here (id int)',
    'create temp table made_here (id int)',
    `select nextval('numbers')`,
    'create role another',
    'vacuum news',
    'drop table news',
    `select pg_switch_wal()`,
    'select pg_current_xact_id()',
  ]) {
    await expect(query(url, statement), statement).rejects.toMatchObject({ code: /25006|55000/ });
  }
  await expect(query(url, 'set transaction_read_only = off')).rejects.toThrow(/during recovery/);
  await expect(query(url, 'begin read write')).rejects.toThrow(/during recovery/);
  // It is a standby for good: a superuser cannot promote it, nor have it fetch WAL.
  await expect(query(url, 'select pg_promote()')).rejects.toThrow(/"promote": Read-only file system/);
  const outside = `copy (select 1) to program 'touch promote && kill -USR1 $(head -1 postmaster.pid)'`;
  await query(url, outside);
  await query(
    url,
    `alter system set restore_command = 'cp /nowhere/%f %p'`,
    `alter system set promote_trigger_file = 'PG_VERSION'`,
    `alter system set primary_conninfo = 'host=/nowhere'`,
    'select pg_reload_conf()',
  );
  const settings = `select count(*)::int from pg_settings where setting <> ''
    and name in ('restore_command', 'promote_trigger_file', 'primary_conninfo')`;
  expect(await value(url, settings)).toBe(0);
  expect((await held.query('select pg_is_in_recovery() as yes')).rows).toEqual([{ yes: true }]);
  await expect(held.query('delete from news')).rejects.toMatchObject({ code: '25006' });
  await held.end();
});

test('what is under way on production, and then taken back or committed, is not seen before', async () => {
  const open = new pg.Client({ connectionString: production() });
  await open.connect();
  await open.query('begin');
  await open.query(`insert into news values (7000, 'under way')`);
  await open.query(`update news set body = 'under way' where id = 1`);
  await query(production(), 'begin', `delete from news where id = 2`, `prepare transaction 'prepared'`);
  await write(`insert into news values (7001, 'done')`, 'checkpoint');
  const seen = `select id, left(body, 4) as body from news where id in (1, 2, 7000, 7001) order by id`;
  expect(await query(url, seen)).toEqual([
    { id: 1, body: 'xxxx' },
    { id: 2, body: 'xxxx' },
    { id: 7001, body: 'done' },
  ]);
  const held = new pg.Client({ connectionString: url });
  await held.connect();
  await open.query('commit');
  await open.end();
  await write(`commit prepared 'prepared'`);
  // Whoever is connected keeps what he saw, and so do all who come meanwhile; then it is the newest.
  const { rows: before } = await held.query(seen);
  expect(before.map(({ id }) => id)).toEqual([1, 2, 7001]);
  expect(await query(url, seen)).toEqual(before);
  await held.end();
  await waitUntil('he has left', async () => (await world.client.branch('prod')).activity.connections === 0);
  expect(await query(url, seen)).toEqual([
    { id: 1, body: 'unde' },
    { id: 7000, body: 'unde' },
    { id: 7001, body: 'done' },
  ]);
});

test('tables and indexes pass amcheck', async () => {
  expect(await query(url, `select * from verify_heapam('news')`)).toEqual([]);
  await query(
    url,
    `select bt_index_check(c.oid, i.indisunique) from pg_index i join pg_class c on c.oid = i.indexrelid
      join pg_am on pg_am.oid = relam where amname = 'btree' and relpersistence = 'p'`,
  );
  await expect(query(url, 'select * from fleeting')).rejects.toThrow(/during recovery/);
});

test('branches come of it as before, also while it runs, and production goes on', async () => {
  await query(url, 'select');
  await write(`insert into news values (8000, 'later')`);
  const fork = await world.fork('fork');
  expect(await value(fork, 'select count(*)::int from news where id = 8000')).toBe(1);
  await query(fork, 'delete from news');
  const { branch } = await world.client.createBranch({ name: 'at-now', from: 'prod', at: 'now' });
  expect(branch).toMatchObject({ access: 'read_write', parent: 'prod' });
  expect(await value(url, 'select count(*)::int > 5000 from news')).toBe(true);
  expect(await value(production(), 'select count(*)::int > 5000 from news')).toBe(true);
  expect(await world.client.tenant('prod')).toMatchObject({ receiver: { state: 'streaming' } });
  await expect(world.client.createRole('prod')).rejects.toMatchObject({ code: 'branch_read_only' });
});
