import { afterAll, beforeAll, expect, test } from 'vitest';
import { query, value, withDatabase } from '../fixture/query.js';
import { World } from '../fixture/world.js';

/** With indexes, TOAST and catalogs about four forks a table: the list takes more than one message of the protocol. */
const tables = 1500;
let world: World;

beforeAll(async () => {
  world = await World.make([
    `do $$ begin
       for i in 1..${tables} loop
         execute format('create table t%s (id int primary key, v text)', i);
         if i % 500 = 0 then commit; end if;
       end loop;
     end $$`,
    `insert into t${tables} values (1, 'last')`,
    'checkpoint',
  ]);
});

afterAll(async () => world[Symbol.asyncDispose]());

test('the size of a database of many relations, and a file copy of it', async () => {
  const url = await world.fork('many', { database: 'template1' });
  const size = `select pg_database_size('postgres')::float8`;
  const ofProduction = Number(await value(world.production.url(), size));
  expect(Number(await value(url, size))).toBeGreaterThanOrEqual(ofProduction * 0.99);
  await query(url, 'create database copy template postgres strategy file_copy');
  const copy = withDatabase(url, 'copy');
  expect(await value(copy, `select v from t${tables}`)).toBe('last');
  expect(await value(copy, `select count(*)::int from pg_class where relname like 't%_pkey'`)).toBe(tables);
});
