import { afterAll, beforeAll, expect, test } from 'vitest';
import { ctl } from '../fixture/command-line.js';
import { relationFilesDigest } from '../fixture/directory-digest.js';
import { postgresUnder } from '../fixture/processes.js';
import { query, value } from '../fixture/query.js';
import { World } from '../fixture/world.js';

let world: World;

beforeAll(async () => {
  world = await World.make([
    'create extension amcheck',
    `create table account (id int primary key, owner text not null, balance numeric not null check (balance >= 0))`,
    `insert into account select i, 'owner ' || i, i * 10 from generate_series(1, 20000) i`,
    'create index on account (owner)',
    'create index on account using hash (balance)',
    `create table note (id bigint generated always as identity primary key, body text, tags text[])`,
    `insert into note (body, tags) select repeat(md5(i::text), 1 + i % 200), array['a' || i % 5, 'b' || i % 7]
     from generate_series(1, 3000) i`,
    'create index on note using gin (tags)',
    'vacuum analyze',
    'create database empty',
    'checkpoint',
  ]);
});

afterAll(async () => world[Symbol.asyncDispose]());

test('a fork holds what production holds', async () => {
  const url = await world.fork('same');
  const sums = `select count(*), sum(balance), md5(string_agg(owner, ',' order by id)) from account`;
  expect(await query(url, sums)).toEqual(await query(world.production.url(), sums));
  const notes = `select count(*), md5(string_agg(body, ',' order by id)) from note`;
  expect(await query(url, notes)).toEqual(await query(world.production.url(), notes));
  expect(await value(await world.url('same', 'empty'), 'select current_database()')).toBe('empty');
});

test('every index and heap of a fork passes amcheck', async () => {
  const url = await world.fork('checked');
  const indexes = `select count(bt_index_parent_check(c.oid, heapallindexed => true, rootdescend => true))::int as n
    from pg_class c join pg_am a on a.oid = c.relam where a.amname = 'btree' and c.relkind = 'i' and c.relpersistence = 'p'`;
  expect(await value(url, indexes)).toBeGreaterThan(100);
  const heaps = `select c.relname, v.* from pg_class c, lateral verify_heapam(c.oid) v
    where c.relkind in ('r', 't', 'm') and c.relpersistence = 'p'`;
  expect(await query(url, heaps)).toEqual([]);
});

test('a migration on a fork stays there; production and its files do not change', async () => {
  await query(world.production.url(), 'checkpoint');
  const before = relationFilesDigest(world.production.dataDirectory);
  const url = await world.fork('migrated');
  await query(
    url,
    'alter table account add column code text',
    `update account set code = 'A-' || id`,
    'alter table account alter column code set not null',
    'create table ledger as select id as account, balance from account',
    'alter table ledger add primary key (account)',
    'alter table account drop column balance',
  );
  expect(
    await value(url, 'select count(*)::int from ledger join account on account = id where code is not null'),
  ).toBe(20000);
  const other = await world.fork('beside');
  for (const untouched of [world.production.url(), other]) {
    expect(await value(untouched, 'select sum(balance)::int from account')).toBe(2000100000);
    await expect(query(untouched, 'select code from account')).rejects.toThrow(/code/);
  }
  expect(relationFilesDigest(world.production.dataDirectory)).toBe(before);
});

test('destroying a branch ends its processes and its name is free again', async () => {
  await world.fork('short-lived');
  const computes = await world.client.computes();
  const [compute] = computes.filter(({ branch }) => branch === 'short-lived');
  expect(postgresUnder(compute?.id ?? 'none').length).toBeGreaterThan(0);
  await world.client.deleteBranch('short-lived');
  expect(postgresUnder(compute?.id ?? 'none')).toEqual([]);
  await world.client.createBranch({ name: 'short-lived', from: 'prod' });
  await world.client.deleteBranch('short-lived');
});

test('writes outlive the compute', async () => {
  const url = await world.fork('mindful');
  await query(url, 'delete from account');
  await world.client.stopCompute('mindful');
  await world.client.startCompute('mindful');
  expect(await value(await world.url('mindful'), 'select count(*)::int from account')).toBe(0);
});

test('branches of branches; a parent with branches cannot be deleted', async () => {
  await world.client.createBranch({ name: 'child', from: 'same' });
  await world.client.createBranch({ name: 'grandchild', from: 'child' });
  await world.client.startCompute('grandchild');
  expect(await value(await world.url('grandchild'), 'select count(*)::int from account')).toBe(20000);
  await expect(world.client.deleteBranch('child')).rejects.toThrow(/grandchild/);
});

test.each([
  [['branch', 'create', 'same', '--from', 'prod'], 1, /already/],
  [['branch', 'create', 'Upper', '--from', 'prod'], 1, /name/],
  [['branch', 'create', 'x', '--from', 'nowhere'], 1, /nowhere/],
  [['branch', 'delete', 'prod'], 1, /prod/],
  [['compute', 'stop', 'prod'], 1, /no compute/],
  [['branch', 'role', 'create', 'prod'], 1, /branch it first/],
  [['connection-string', 'nowhere'], 1, /nowhere/],
  [['tenant', 'import', 'prod', '--from', 'postgres://localhost/x'], 1, /already/],
  [['tenant', 'import', 'other', '--from', 'mysql://localhost/x'], 1, /./],
  [['tenant', 'import', 'other', '--from', 'postgres://127.0.0.1:1/x'], 1, /127\.0\.0\.1|connect/i],
  [['tenant', 'import', 'other'], 2, /--from/],
  [['tenant', 'frob'], 2, /frob/],
])('pageserver-ctl %j is refused with exit code %d', async (words, code, reason) => {
  const text = await ctl(world.data, ...words);
  expect(text).toMatchObject({ code, stdout: '' });
  expect(text.stderr).toMatch(reason);
  const json = await ctl(world.data, '--json', ...words);
  expect(json.code).toBe(code);
  if (code === 1) expect(JSON.parse(json.stdout)).toHaveProperty('error.code');
});

test('pageserver-ctl lists in text and as one JSON document', async () => {
  const text = await ctl(world.data, 'branch', 'list');
  expect(text).toMatchObject({ code: 0, stdout: expect.stringMatching(/NAME.*\n.*prod/) });
  const json = await ctl(world.data, 'branch', 'list', '--json');
  expect(JSON.parse(json.stdout).branches.map(({ name }: { name: string }) => name)).toContain('prod');
  expect(JSON.parse((await ctl(world.data, 'status', '--json')).stdout)).toMatchObject({ tenants: 1 });
  expect(JSON.parse((await ctl(world.data, 'tenant', 'show', 'prod', '--json')).stdout)).toMatchObject({
    state: 'active',
  });
});
