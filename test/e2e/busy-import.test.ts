import { afterAll, beforeAll, expect, test } from 'vitest';
import { ctl } from '../fixture/command-line.js';
import { query } from '../fixture/query.js';
import { World } from '../fixture/world.js';

let world: World;

beforeAll(async () => {
  world = await World.make([
    'create extension amcheck',
    'create table busy (id int primary key, n int not null)',
    'insert into busy select i, 0 from generate_series(1, 20000) i',
    'create table quiet as select i from generate_series(1, 1000) i',
    `create table filler as select i, repeat(md5(i::text), 20) as v from generate_series(1, 300000) i`,
    'checkpoint',
  ]);
});

afterAll(async () => world[Symbol.asyncDispose]());

test('a source that writes during the import: every page is served, as of the import', async () => {
  let state: 'writing' | 'done' = 'writing';
  const writer = (async () => {
    while (state === 'writing') {
      await query(world.production.url(), 'update busy set n = n + 1 where id <= 200');
    }
  })();
  const result = await ctl(world.data, '--json', 'tenant', 'import', 'hot', '--from', world.production.url());
  state = 'done';
  await writer;
  expect(result.code).toBe(0);
  expect(result.stderr).not.toMatch(/warning/);
  expect(JSON.parse(result.stdout).tenant.unsupported_records).toEqual([]);
  const url = await world.fork('of-hot', { from: 'hot' });
  // A state in which every one of the 200 rows was changed equally often.
  const rows = 'select n, count(*)::int as rows from busy where id <= 200 group by n';
  expect(await query(url, rows)).toEqual([{ n: expect.any(Number), rows: 200 }]);
  const counts = ['busy', 'quiet', 'filler'].map(
    (table) => `(select count(*)::int from ${table}) as ${table}`,
  );
  expect(await query(url, `select ${counts.join(', ')}`)).toEqual([
    { busy: 20000, quiet: 1000, filler: 300000 },
  ]);
  await query(url, "select bt_index_check('busy_pkey', true)");
  await query(url, "select * from verify_heapam('busy')").then((found) => expect(found).toEqual([]));
});
