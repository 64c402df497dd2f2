import { ConflictError, NotFoundError, Offshoot } from '@offshoot/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { query, value } from '../fixture/query.js';
import { World } from '../fixture/world.js';

let world: World;
let db: Offshoot;
let token: string;

beforeAll(async () => {
  world = await World.make(['create table shop (id int)', 'insert into shop values (7)']);
  token = (await world.client.createToken({ name: 'agent', scope: 'branch', parents: ['prod'] })).secret;
  db = new Offshoot({ url: world.daemon.facts.api_url, token });
});

afterAll(async () => world[Symbol.asyncDispose]());

const ids = 'select string_agg(id::text, $$,$$ order by id) from shop';

test('fork, connect, break it, go back behind the same connection string, destroy', async () => {
  let id: string;
  {
    await using fork = await db.fork({ from: 'prod', ttl: '15m', labels: { agent: 'x' }, compute: 'warm' });
    id = fork.id;
    const url = fork.connectionString;
    expect(fork).toMatchObject({ created: true, baseLsn: fork.branch.base_lsn });
    expect(fork.timingsMs.compute).toBeGreaterThan(0);
    await query(url, 'insert into shop values (8)');
    await fork.checkpoint('good');
    await query(url, 'delete from shop');
    const { preserved } = await fork.restore('good');
    expect(await value(url, ids)).toBe('7,8');
    expect(preserved).toBeDefined();
    expect((await fork.checkpoints()).map(({ name }) => name)).toEqual(['good']);
    await fork.reset();
    expect(await value(url, ids)).toBe('7');
    const before = fork.expiresAt ?? new Date(0);
    await fork.extend('2h');
    expect(fork.expiresAt?.getTime()).toBeGreaterThan(before.getTime() + 3_600_000);
    expect((await db.list({ labels: { agent: 'x' } })).map(({ name }) => name)).toContain(fork.name);
    expect(await db.deleteFork(preserved ?? '')).toBe(true);
  }
  await expect(db.get(id)).rejects.toBeInstanceOf(NotFoundError);
  expect(await db.deleteFork(id)).toBe(false);
});

test('by name: once made, then got; another is refused', async () => {
  const first = await db.fork({ name: 'pr-1', from: 'prod', ifExists: 'return' });
  const again = await db.fork({ name: 'pr-1', from: 'prod', ifExists: 'return' });
  expect([first.created, again.created, again.id === first.id]).toEqual([true, false, true]);
  await expect(db.fork({ name: 'pr-1' })).rejects.toBeInstanceOf(ConflictError);
  expect((await db.get(first.id)).connectionString).toContain('@pr-1');
  await first.destroy();
  await first.destroy();
});

test('an answer that was lost is asked for again, and nothing is done twice', async () => {
  let lost = 0;
  const losing: typeof fetch = async (...call) => {
    const response = await fetch(...call);
    if (call[1]?.method !== 'POST' || lost % 2 === 1) {
      lost += call[1]?.method === 'POST' ? 1 : 0;
      return response;
    }
    lost += 1;
    await response.body?.cancel();
    throw new TypeError('the connection was reset');
  };
  const unlucky = new Offshoot({
    url: world.daemon.facts.api_url,
    token,
    fetch: losing,
    retry: { pauseMs: 1 },
  });
  const before = (await db.list()).length;
  const fork = await unlucky.fork({ from: 'prod' });
  expect(await value(fork.connectionString, ids)).toBe('7');
  await fork.checkpoint('one');
  await fork.restore('one');
  expect(lost).toBe(6);
  // The fork, and what its one restore has kept.
  expect((await db.list()).length).toBe(before + 2);
});
