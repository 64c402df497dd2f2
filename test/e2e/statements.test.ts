import { mkdirSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { query, value, withDatabase } from '../fixture/query.js';
import { World } from '../fixture/world.js';

/** Just over the 1 GiB of a segment: one row a page, which leaves little to write and to compress. */
const bigRows = 131_500;
let world: World;
let url: string;

/** A directory that Postgres may use as a tablespace. */
function tablespaceDirectory(name: string): string {
  const path = `${world.scratch.path}/${name}`;
  mkdirSync(path);
  world.production.own(path);
  return path;
}

beforeAll(async () => {
  world = await World.make([
    'create extension amcheck',
    'create table small as select i as id, i % 7 as k from generate_series(1, 5000) i',
    'alter table small add primary key (id)',
    'create unlogged table scratchpad (id int primary key, v text)',
    `insert into scratchpad select i, 'v' from generate_series(1, 100) i`,
    'create table big (id int, pad text) with (autovacuum_enabled = off, fillfactor = 10)',
    'alter table big alter pad set storage plain',
    `insert into big select i, repeat('p', 750) from generate_series(1, ${bigRows}) i`,
    'create index on big (id)',
    'checkpoint',
  ]);
  url = await world.fork('work');
}, 240_000);

afterAll(async () => world[Symbol.asyncDispose]());

test('a table of several segments reads, grows, shrinks and is truncated', async () => {
  expect(Number(await value(url, `select pg_relation_size('big')`))).toBeGreaterThan(2 ** 30);
  expect(await value(url, 'select count(*)::int from big')).toBe(bigRows);
  expect(await value(url, `select length(pad) from big where id = ${bigRows}`)).toBe(750);
  await query(url, `insert into big select i, 'more' from generate_series(1, 1000) i`);
  await query(url, `delete from big where id > 400 or pad = 'more'`, 'vacuum big');
  expect(Number(await value(url, `select pg_relation_size('big')`))).toBeLessThan(2 ** 22);
  expect(await value(url, 'select count(*)::int from big')).toBe(400);
  await query(url, `insert into big select i, repeat('q', 750) from generate_series(1, 2500) i`);
  expect(await value(url, 'select count(*)::int from big')).toBe(2900);
  await query(url, 'truncate big');
  expect(await value(url, 'select count(*)::int from big')).toBe(0);
  expect(await value(world.production.url(), 'select count(*)::int from big')).toBe(bigRows);
}, 240_000);

test('VACUUM FULL and CREATE INDEX CONCURRENTLY', async () => {
  await query(
    url,
    'update small set k = k + 1',
    'vacuum full small',
    'create index concurrently small_k on small (k)',
  );
  expect(await value(url, 'select count(*)::int from small where k = 3')).toBe(715);
  expect(await value(url, `select bt_index_check('small_k', true) is not null`)).toBe(true);
  await query(url, 'reindex index concurrently small_k', 'drop index concurrently small_k');
});

test('unlogged tables start empty and work', async () => {
  expect(await value(url, 'select count(*)::int from scratchpad')).toBe(0);
  await query(url, `insert into scratchpad values (1, 'mine')`);
  expect(await value(url, 'select v from scratchpad where id = 1')).toBe('mine');
  await query(url, 'alter table scratchpad set logged');
  expect(await value(url, 'select count(*)::int from scratchpad')).toBe(1);
});

test.each(['file_copy', 'wal_log'])(
  'CREATE DATABASE with strategy %s, and DROP DATABASE',
  async (strategy) => {
    const target = await world.fork(`copies-${strategy.replace('_', '-')}`, { database: 'template1' });
    const copy = withDatabase(target, 'copy');
    await query(target, `create database copy template postgres strategy ${strategy}`);
    expect(await value(copy, 'select sum(id)::int from small')).toBe(12502500);
    expect(await value(copy, `select bt_index_check('small_pkey', true) is not null`)).toBe(true);
    await query(copy, 'delete from small where id > 10', 'vacuum small');
    await query(target, 'drop database copy');
    expect(await value(target, `select count(*)::int from pg_database where datname = 'copy'`)).toBe(0);
    expect(Number(await value(target, `select pg_database_size('postgres')`))).toBeGreaterThan(2 ** 30);
    await query(target, 'drop database postgres');
  },
  240_000,
);

test('tablespaces can be made, filled, moved to and dropped', async () => {
  const directory = tablespaceDirectory('space');
  await query(
    url,
    `create tablespace space location '${directory}'`,
    'alter table small set tablespace space',
  );
  expect(await value(url, 'select count(*)::int from small')).toBe(5000);
  await query(url, 'create table placed tablespace space as select 1 as one');
  await query(
    url,
    'alter table small set tablespace pg_default',
    'drop table placed',
    'drop tablespace space',
  );
  expect(await value(url, 'select count(*)::int from small')).toBe(5000);
});

test('ALTER DATABASE … SET TABLESPACE moves what was never read before', async () => {
  const target = await world.fork('moved', { database: 'template1' });
  const directory = tablespaceDirectory('elsewhere');
  await query(target, `create tablespace elsewhere location '${directory}'`);
  await query(
    target,
    'create database source template template1',
    'alter database source set tablespace elsewhere',
  );
  const source = withDatabase(target, 'source');
  expect(await value(source, 'select count(*)::int > 100 from pg_class')).toBe(true);
});
