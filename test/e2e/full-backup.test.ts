import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { copyOut } from '../fixture/copy-out.js';
import { query, value } from '../fixture/query.js';
import { World } from '../fixture/world.js';

let world: World;
let pageService: string;
let where: string;

beforeAll(async () => {
  world = await World.make(
    [
      'create extension amcheck',
      'create table t (id int primary key, v text)',
      `insert into t select i, md5(i::text) from generate_series(1, 50000) i`,
      "create index on t using gin (to_tsvector('simple', v))",
      'create unlogged table u as select generate_series(1, 10) i',
      'create table in_doubt (i int)',
      "begin; insert into in_doubt values (1); prepare transaction 'half'",
    ],
    { parameters: { max_prepared_transactions: '5' } },
  );
  const socket = world.daemon.facts.page_service.find((address) => address.startsWith('unix:')) ?? '';
  pageService = `postgresql://x@/x?host=${encodeURIComponent(dirname(socket.slice('unix:'.length)))}&port=64000`;
  const { id } = await world.client.tenant('prod');
  const { timeline } = await world.client.branch('prod');
  where = `${id} ${timeline}`;
});

afterAll(async () => world[Symbol.asyncDispose]());

/** Unpacks an archive that the page service sends, owned by Postgres' user. */
async function unpack(command: string, name: string, codec: 'gzip' | 'plain'): Promise<string> {
  const directory = `${world.scratch.path}/${name}`;
  mkdirSync(directory, { mode: 0o700 });
  const tar = spawn('tar', ['-x', '-C', directory], { stdio: ['pipe', 'inherit', 'inherit'] });
  const exit = new Promise((resolve) => tar.on('close', resolve));
  const archive = copyOut(pageService, command);
  await (codec === 'gzip' ? pipeline(archive, createGunzip(), tar.stdin) : pipeline(archive, tar.stdin));
  expect(await exit).toBe(0);
  world.production.ownTree(directory);
  return directory;
}

test('a plain Postgres starts from fullbackup and holds the same', async () => {
  const directory = await unpack(`fullbackup ${where}`, 'restored', 'plain');
  const restored = await world.production.startAnother(directory, { max_prepared_transactions: '5' });
  try {
    const sum = `select count(*), md5(string_agg(v, '' order by id)) from t`;
    expect(await query(restored.url, sum)).toEqual(await query(world.production.url(), sum));
    expect(await value(restored.url, `select bt_index_check('t_pkey', true) is not null`)).toBe(true);
    expect(await value(restored.url, 'select count(*)::int from u')).toBe(0);
    await query(restored.url, `commit prepared 'half'`);
    expect(await value(restored.url, 'select count(*)::int from in_doubt')).toBe(1);
  } finally {
    await restored.stop();
  }
});

test('basebackup holds no relation pages, plain and with --gzip alike', async () => {
  const plain = await unpack(`basebackup ${where}`, 'base', 'plain');
  const gzip = await unpack(`basebackup ${where} latest --gzip`, 'base-gzip', 'gzip');
  const list = (path: string) => world.production.filesOf(path);
  expect(list(gzip)).toEqual(list(plain));
  expect(list(plain)).toContain('global/pg_control');
  expect(list(plain).filter((name) => /^base\/\d+\/1259$/.test(name))).toEqual([]);
});

test('psql-like clients: SET, a lease, errors', async () => {
  expect(await query(pageService, 'set datestyle to iso')).toEqual([]);
  const { last_record_lsn: lsn } = await world.client.tenant('prod');
  const [lease] = await query<{ valid_until: string }>(pageService, `lease lsn ${where} ${lsn}`);
  expect(Number(lease?.valid_until)).toBeGreaterThan(Date.now());
  await expect(query(pageService, `basebackup ${where} 0/10`)).rejects.toThrow(/0\//);
  await expect(query(pageService, 'select 1')).rejects.toThrow(/select/);
});
