import { afterAll, beforeAll, expect, test } from 'vitest';
import { ctl } from '../fixture/command-line.js';
import { query } from '../fixture/query.js';
import { World } from '../fixture/world.js';

let world: World;

beforeAll(async () => {
  world = await World.make([
    'create table busy (id int primary key, n int not null)',
    'insert into busy select i, 0 from generate_series(1, 20000) i',
    'create table quiet as select i from generate_series(1, 1000) i',
    `create table filler as select i, repeat(md5(i::text), 20) as v from generate_series(1, 300000) i`,
    'checkpoint',
  ]);
});

afterAll(async () => world[Symbol.asyncDispose]());

test('a source that writes during the import: said at the import; wrong rows never', async () => {
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
  const { tenant } = JSON.parse(result.stdout);
  const names = tenant.unsupported_records.map(({ name }: { name: string }) => name);
  expect(names).toContain('Heap/HOT_UPDATE');
  expect(result.stderr).toMatch(/warning: .*Heap\/HOT_UPDATE/);
  const shown = await ctl(world.data, 'tenant', 'show', 'hot');
  expect(shown.stdout).toMatch(/Heap\/HOT_UPDATE/);
  const url = await world.fork('of-hot', { from: 'hot' });
  expect(await query(url, 'select count(*)::int as n from quiet')).toEqual([{ n: 1000 }]);
  // Refused, or a state in which every one of the 200 rows was changed equally often.
  const rows = await query<{ n: number; rows: number }>(
    url,
    'select n, count(*)::int as rows from busy where id <= 200 group by n',
  ).catch((error: Error) => error.message);
  if (typeof rows === 'string') expect(rows).toMatch(/could not read block/);
  else expect(rows).toEqual([{ n: expect.any(Number), rows: 200 }]);
});
