import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { AccessError, type Fork, NotFoundError, Offshoot } from '@offshoot/client';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { query, value } from '../fixture/query.js';
import { missingForShell, runBash } from '../fixture/shell-story.js';
import { World } from '../fixture/world.js';

const variantsCount = 10;
const rows = 500;
const columns = `select string_agg(column_name, ',' order by ordinal_position) from information_schema.columns
  where table_name = 'users'`;
const content = `select md5(string_agg(id || email || active, ',' order by id)) from users`;

let world: World;
let db: Offshoot;

beforeAll(async () => {
  world = await World.make([
    'create table users (id int primary key, email text not null, active bool not null)',
    `insert into users select i, 'u' || i || '@example.com', i % 3 = 0 from generate_series(1, ${rows}) i`,
    'create table journal (line text)',
    'vacuum analyze',
  ]);
  const { secret } = await world.client.createToken({
    name: 'agent',
    scope: 'branch',
    parents: ['prod'],
    ttl_seconds: 3600,
  });
  db = new Offshoot({ url: world.daemon.facts.api_url, token: secret });
});

afterAll(async () => world?.[Symbol.asyncDispose]());

const inProduction = (statement: string) => value(world.production.url(), statement);

describe('by the SDK', () => {
  test('an agent forks, connects, migrates, verifies and destroys; production never notices', async () => {
    const before = await inProduction(content);
    let gone: { id: string; url: string };
    {
      await using fork = await db.fork({
        from: 'prod',
        at: 'now',
        ttl: '15m',
        labels: { task: 'last-login' },
      });
      gone = { id: fork.id, url: fork.connectionString };
      const client = new pg.Client({ connectionString: fork.connectionString });
      await client.connect();
      try {
        await client.query('begin');
        await client.query('alter table users add column last_login timestamptz');
        await client.query('update users set last_login = now() where active');
        await client.query('alter table users add check (last_login is not null or not active)');
        await client.query('commit');
        const { rows: checked } = await client.query(
          'select count(*)::int as users, count(last_login)::int as seen from users',
        );
        expect(checked).toEqual([{ users: rows, seen: Math.floor(rows / 3) }]);
        await expect(client.query(`insert into users values (0, 'x', true)`)).rejects.toMatchObject({
          code: '23514',
        });
      } finally {
        await client.end();
      }
      expect(await value(fork.connectionString, columns)).toBe('id,email,active,last_login');
      // With what it was given it gets at its own fork only.
      const production = await db.get('prod');
      expect(() => production.connectionString).toThrow();
      await expect(db.deleteFork('prod')).rejects.toBeInstanceOf(AccessError);
    }
    await expect(db.get(gone.id)).rejects.toBeInstanceOf(NotFoundError);
    await expect(query(gone.url, 'select 1')).rejects.toMatchObject({ code: '3D000' });
    expect([await inProduction(columns), await inProduction(content)]).toEqual(['id,email,active', before]);
  });

  test(`${variantsCount} variants of a migration side by side on forks from one LSN`, async () => {
    const variants = Array.from({ length: variantsCount }, (_, n) => n);
    const first = await db.fork({ from: 'prod', at: 'now' });
    const before = await inProduction(content);
    // What production goes on to write is in none of the others either.
    await query(world.production.url(), `insert into journal values ('after the first fork')`);
    const others = await Promise.all(
      variants.slice(1).map(() => db.fork({ from: 'prod', at: first.baseLsn, labels: { task: 'variants' } })),
    );
    const forks = [first, ...others];
    expect(new Set(forks.map(({ baseLsn }) => baseLsn)).size).toBe(1);
    const each = <T>(work: (fork: Fork, n: number) => Promise<T>) => Promise.all(forks.map(work));

    const base = await each((fork) =>
      query(
        fork.connectionString,
        `select (${content}) as users, (select count(*)::int from journal) as lines`,
      ),
    );
    expect(base).toEqual(variants.map(() => [{ users: before, lines: 0 }]));

    await each((fork, n) =>
      query(
        fork.connectionString,
        'begin',
        `alter table users add column variant_${n} int not null default ${n}`,
        `update users set email = upper(email), variant_${n} = variant_${n} + id where id % ${variantsCount} = ${n}`,
        `delete from users where id <= ${n}`,
        'commit',
      ),
    );
    const found = await each((fork, n) =>
      query(
        fork.connectionString,
        `select (${columns}) as columns, count(*)::int as users, sum(variant_${n} - ${n})::int as changed,
        (count(*) filter (where email = upper(email)))::int as upper from users`,
      ),
    );
    const idsOf = (n: number) =>
      Array.from({ length: rows }, (_, at) => at + 1).filter((id) => id % variantsCount === n && id > n);
    expect(found).toEqual(
      variants.map((n) => [
        {
          columns: `id,email,active,variant_${n}`,
          users: rows - n,
          // Variant n deletes row n, which is one of those that it had changed.
          changed: idsOf(n).reduce((sum, id) => sum + id, 0),
          upper: idsOf(n).length,
        },
      ]),
    );
    expect([await inProduction(columns), await inProduction(content)]).toEqual(['id,email,active', before]);
    await each((fork) => fork.destroy());
  }, 120_000);

  test('a bad migration is undone by its checkpoint, behind the same connection string', async () => {
    await using fork = await db.fork({ from: 'prod', ttl: '15m' });
    const url = fork.connectionString;
    await query(url, 'alter table users add column name text', `update users set name = 'n' || id`);
    const good = await value(url, `select md5(string_agg(id || email || name, ',' order by id)) from users`);
    await fork.checkpoint('before-cleanup');

    const open = new pg.Client({ connectionString: url });
    const ended = new Promise<pg.DatabaseError>((resolve) => open.on('error', resolve as never));
    await open.connect();
    await open.query('update users set email = null where false');
    await open.query(`update users set name = ''`);
    await open.query('alter table users drop column email');
    const { preserved } = await fork.restore('before-cleanup');
    expect(await ended).toMatchObject({ code: '57P01', message: expect.stringContaining('connect again') });

    expect(fork.connectionString).toBe(url);
    expect(await value(url, `select md5(string_agg(id || email || name, ',' order by id)) from users`)).toBe(
      good,
    );
    await query(url, `insert into users values (0, 'again@example.com', false, 'n0')`);
    expect(await value(url, 'select count(*)::int from users')).toBe(rows + 1);
    expect(await db.deleteFork(preserved ?? '')).toBe(true);
  });

  test('the state as of a given second, whatever came after it', async () => {
    const second = () =>
      inProduction(`select to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`);
    const seconds: string[] = [];
    for (const line of ['one', 'two', 'three']) {
      await query(world.production.url(), `insert into journal values ('${line}')`);
      const written = await second();
      let now = written;
      while (now === written) {
        await sleep(20);
        now = await second();
      }
      seconds.push(String(now));
    }
    await query(world.production.url(), `delete from journal where line in ('one', 'two')`);
    const lines = `select string_agg(line, ',' order by ctid) from journal where line not like 'after%'`;
    const found = await Promise.all(
      seconds.map(async (at) => {
        await using fork = await db.fork({ from: 'prod', at });
        return await value(fork.connectionString, lines);
      }),
    );
    expect(found).toEqual(['one', 'one,two', 'one,two,three']);
    await using latest = await db.fork({ from: 'prod', at: 'now' });
    expect(await value(latest.connectionString, lines)).toBe('three');
  });
});

describe('by curl and psql', () => {
  const missing = missingForShell();
  const here = (path: string) => new URL(path, import.meta.url).pathname;
  const done = { code: 0, stderr: '' };
  const names = async () => (await world.client.branches()).map(({ name }) => name);

  test.for(['ten-variants', 'undo', 'given-second'])('%s', async (story, { skip }) => {
    skip(missing !== undefined, missing);
    const name = `shell-${story}`;
    const { secret } = await world.client.createToken({ name, scope: 'branch', parents: ['prod'] });
    const env = { OFFSHOOT_URL: world.daemon.facts.api_url, OFFSHOOT_TOKEN: secret };
    expect(await runBash(world, story, [here(`shell/${story}.sh`)], env)).toMatchObject(done);
    expect(await names()).toEqual(['prod']);
  });

  test('what docs/api.md says to type', async ({ skip }) => {
    skip(missing !== undefined, missing);
    const text = readFileSync(here('../../docs/api.md'), 'utf8');
    const blocks = [...text.matchAll(/^```sh\n(.*?)^```/gms)].map(([, block = '']) => block);
    // Daemons with other settings and new databases are started and made in tests of their own.
    const typed = blocks.filter((block) => !/pageserver start|[/]v1[/]databases/.test(block));
    expect([blocks.length, typed.length]).toEqual([4, 2]);
    const before = await inProduction(content);
    const { stdout, ...ended } = await runBash(world, 'docs', ['-euo', 'pipefail', '-c', typed.join('\n')]);
    expect(ended).toEqual(done);
    expect(stdout.match(/"created":true/g)).toHaveLength(2);
    expect([await inProduction(columns), await inProduction(content)]).toEqual(['id,email,active', before]);
    // The first of its calls makes one with a name by chance, and says no more of it.
    expect((await names()).filter((name) => !/^fork-[0-9a-f]+$/.test(name))).toEqual(['prod']);
  });
});
