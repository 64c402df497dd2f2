import { afterAll, beforeAll, expect, test } from 'vitest';
import { relationFilesDigest } from '../fixture/directory-digest.js';
import { query, value } from '../fixture/query.js';
import { World } from '../fixture/world.js';

const names = Array.from({ length: 10 }, (_, i) => `try-${i}`);
const rows = 30_000;
let world: World;

beforeAll(async () => {
  world = await World.make([
    'create table item (id int primary key, n int not null, pad text)',
    `insert into item select i, 0, repeat('x', 100) from generate_series(1, ${rows}) i`,
    'create index on item (n)',
    'vacuum analyze',
    'checkpoint',
  ]);
});

afterAll(async () => world[Symbol.asyncDispose]());

test('ten branches at once, each changed differently, see only their own changes', async () => {
  const before = relationFilesDigest(world.production.dataDirectory);
  const urls = await Promise.all(names.map((name) => world.fork(name)));
  await Promise.all(
    urls.map((url, i) =>
      query(
        url,
        `update item set n = ${i + 1} where id % 10 = ${i}`,
        `delete from item where id <= ${i * 100}`,
        `create table only_${i} as select ${i} as who, g from generate_series(1, ${1000 * (i + 1)}) g`,
        'vacuum item',
      ),
    ),
  );
  for (const [i, url] of urls.entries()) {
    expect(await value(url, 'select count(*)::int from item')).toBe(rows - i * 100);
    const changed = await query<{ n: number }>(url, 'select distinct n from item where n <> 0');
    expect(changed).toEqual([{ n: i + 1 }]);
    const tables = await query<{ relname: string }>(
      url,
      `select relname from pg_class where relname like 'only%'`,
    );
    expect(tables).toEqual([{ relname: `only_${i}` }]);
    expect(await value(url, `select sum(who)::int from only_${i}`)).toBe(i * 1000 * (i + 1));
  }
  expect(await value(world.production.url(), 'select count(*)::int from item where n = 0')).toBe(rows);
  expect(relationFilesDigest(world.production.dataDirectory)).toBe(before);
}, 240_000);
