import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ctl } from '../fixture/command-line.js';
import { DaemonProcess } from '../fixture/daemon-process.js';
import { postgresUnder } from '../fixture/processes.js';
import { query, value } from '../fixture/query.js';
import { waitUntil } from '../fixture/wait-until.js';
import { World } from '../fixture/world.js';

let world: World;

beforeAll(async () => {
  world = await World.make([
    'create table account (id int primary key, balance int not null)',
    'insert into account select i, 100 from generate_series(1, 500) i',
    'vacuum analyze',
  ]);
});

afterAll(async () => world?.[Symbol.asyncDispose]());

const total = 'select sum(balance)::int from account';
/** What `pageserver-ctl --json` says. */
async function said<T = Record<string, unknown>>(...args: string[]): Promise<T> {
  const { code, stdout } = await ctl(world.data, ...args, '--json');
  const parsed = JSON.parse(stdout);
  expect([code, parsed.error]).toEqual([0, undefined]);
  return parsed as T;
}

/** By the branch's own role, over the string that was told when it was made. */
async function made(name: string): Promise<{ url: string; id: string }> {
  const { branch, credentials } = await world.client.createBranch({
    name,
    from: 'prod',
    at: 'now',
    role: {},
  });
  return { url: credentials?.connection_string ?? '', id: branch.id };
}

describe('a branch whose migration went wrong', () => {
  test('goes back to its checkpoint behind the same connection string; nothing of it is lost', async () => {
    const { url, id } = await made('fix');
    await query(url, 'update account set balance = 101');
    await said('checkpoint', 'create', 'fix', 'before-backfill');
    await world.client.createBranch({ name: 'child', from: 'fix' });
    const open = new pg.Client({ connectionString: url });
    const broken = new Promise<pg.DatabaseError>((resolve) => open.on('error', resolve as never));
    await open.connect();
    await open.query('update account set balance = 0');
    await open.query('drop table account cascade');
    const moved = await said<{ preserved: string; connections_ended: number }>(
      'branch',
      'restore',
      'fix',
      '--at',
      '@before-backfill',
    );
    expect(await broken).toMatchObject({
      code: '57P01',
      message: 'branch fix is being restored to a point of its history: connect again to get the new state',
    });
    expect(moved.connections_ended).toBe(1);
    expect(await value(url, total)).toBe(50_500);
    expect((await world.client.branch('fix')).id).toBe(id);
    // What went wrong can be looked at, by whoever may on production; the branch's own role is not let in there.
    const before = await world.gatewayUrl(moved.preserved);
    expect(await value(before, "select to_regclass('account')")).toBeNull();
    await expect(query(url.replace('@fix', `@${moved.preserved}`), 'select 1')).rejects.toThrow();
    // The child left in between, and is what it was.
    expect(await value(await world.gatewayUrl('child'), total)).toBe(50_500);
    await query(url, 'update account set balance = 7');
    expect(await value(await world.gatewayUrl('child'), total)).toBe(50_500);
  });

  test('goes back to a moment, also one from before it was restored', async () => {
    const { url } = await made('time');
    const at: string[] = [];
    const now = async () => at.push(String(await value(url, 'select clock_timestamp()::text')));
    for (const balance of [1, 2, 3]) {
      await query(url, `update account set balance = ${balance}`);
      await now();
      await sleep(20);
    }
    const restored = async (moment: string) => {
      await world.client.restoreBranch('time', { at: moment, preserve: false });
      return await value(url, total);
    };
    expect(await restored(at[1] ?? '')).toBe(1000);
    expect(await restored(at[0] ?? '')).toBe(500);
    // The abandoned future is no part of its history any more.
    expect(await restored(at[2] ?? '')).toBe(500);
  });

  test('is reset to its parent as that is now, by name and role the same', async () => {
    const { url } = await made('again');
    await query(url, 'update account set balance = 0', "create table mine as select 'x'");
    await query(world.production.url(), 'insert into account values (501, 1)');
    const first = await world.client.resetBranch('again', { at: 'now' });
    expect(first.preserved).toBeUndefined();
    expect(await value(url, total)).toBe(50_001);
    expect(await value(url, "select to_regclass('mine')")).toBeNull();
    await query(url, 'update account set balance = 0');
    await said('branch', 'reset', 'again', '--preserve-as', 'kept');
    expect(await value(await world.gatewayUrl('kept'), total)).toBe(0);
    expect(await value(url, total)).toBe(50_001);
    await query(world.production.url(), 'delete from account where id = 501');
  });
});

test('a branch whose time is over takes nobody, and goes with the last that starts from it', async () => {
  const { url } = await made('short');
  const create = ['branch', 'create', 'of-short', '--from', 'short', '--label', 'pr=7'];
  const byDefault = await ctl(world.data, ...create);
  expect(byDefault.stdout).toMatch(/\n {2}expires {6}\S+Z by default; .+ branch expire of-short --never\n/);
  await said('branch', 'delete', 'of-short');
  const kept = await said<{ branch: { expires_at?: string } }>(...create, '--keep');
  expect(kept.branch.expires_at).toBeUndefined();
  expect(await value(url, total)).toBe(50_000);
  const soon = new Date(Date.now() + 4000).toISOString();
  expect(await said('branch', 'expire', 'short', '--at', soon)).toMatchObject({ expires_at: soon });
  const over = async () => (await world.client.branch('short')).state === 'expired';
  await waitUntil('its time is over', over);
  await expect(query(url, 'select 1')).rejects.toMatchObject({
    code: '55000',
    hint: expect.stringContaining('branch expire short --in'),
  });
  const { code, stdout } = await ctl(world.data, 'branch', 'tree', 'short');
  expect([code, stdout.split('\n').map((line) => line.split('  ')[0])]).toEqual([
    0,
    ['short', '└─ of-short', ''],
  ]);
  expect(await value(await world.gatewayUrl('of-short'), total)).toBe(50_000);
  const { branches } = await said<{ branches: { name: string }[] }>('branch', 'list', '--label', 'pr=7');
  expect(branches.map(({ name }) => name)).toEqual(['of-short']);
  await said('branch', 'delete', 'of-short');
  const names = async () => (await world.client.branches()).map(({ name }) => name);
  await waitUntil('it is gone', async () => !(await names()).includes('short'));
  await expect(query(url, 'select 1')).rejects.toMatchObject({ code: '3D000' });
  const { events } = await said<{ events: { event: string; facts?: { by?: string } }[] }>(
    'events',
    '--branch',
    'short',
  );
  expect(events.at(-1)).toMatchObject({ event: 'deleted', facts: { by: 'expiry' } });
});

test('ten connections that write while their branch is reset hear of it, and come back to the new state', async () => {
  const { url } = await made('load');
  let over = false;
  const ends = new Set<string | undefined>();
  const write = async () => {
    while (!over) {
      const client = new pg.Client({ connectionString: url });
      client.on('error', ({ message, ...error }) => ends.add((error as { code?: string }).code ?? message));
      try {
        await client.connect();
        for (;;) await client.query('update account set balance = balance + 1 where id = 1');
      } catch (error) {
        ends.add((error as { code?: string }).code);
      } finally {
        await client.end().catch(() => {});
      }
    }
  };
  const writers = Array.from({ length: 10 }, write);
  const spread = async () => value(url, 'select count(*)::int from account where balance <> 100');
  await waitUntil('something is written', async () => (await spread()) === 1);
  await Promise.all([world.client.resetBranch('load'), world.client.resetBranch('load')]);
  await waitUntil('something is written again', async () => (await spread()) === 1);
  over = true;
  await world.client.resetBranch('load');
  await Promise.all(writers);
  await world.client.resetBranch('load');
  expect(await value(url, total)).toBe(50_000);
  expect([...ends]).toContain('57P01');
  expect(postgresUnder(world.data).length).toBeGreaterThan(0);
}, 120_000);

test('a daemon that is killed in the midst of restores finds each branch in the one state or the other', async () => {
  const { url: first } = await made('killed');
  // The gateway's port is another one after each start.
  const here = async () => {
    const { port } = await world.client.connectionString('killed', { via: 'gateway' });
    return Object.assign(new URL(first), { port }).href;
  };
  for (let round = 1; round <= 2; round += 1) {
    const url = await here();
    await query(url, `update account set balance = ${round}`);
    await world.client.createCheckpoint('killed', { name: `c${round}` });
    await query(url, 'update account set balance = -1');
    const { client } = world;
    const at = `@c${round}`;
    let restores = 0;
    const work = (async () => {
      for (; ; restores += 1)
        await client.restoreBranch('killed', { at, preserve_as: `r${round}-${restores}` });
    })().catch(() => {});
    await sleep(200 * round);
    await world.daemon.end('SIGKILL');
    await work;
    await waitUntil('no Postgres outlives its daemon', () => postgresUnder(world.data).length === 0);
    world.daemon = await DaemonProcess.start(world.data);
    const found = await value(await here(), total);
    const names = (await world.client.branches()).map(({ name }) => name);
    // What was answered is so; of the one under way, all or nothing.
    const kept = names.filter((name) => name.startsWith(`r${round}-`)).length;
    expect(kept - restores === 0 || kept - restores === 1).toBe(true);
    expect(found).toBe(kept === 0 ? -500 : 500 * round);
    if (kept > 0) expect(await value(await world.gatewayUrl(`r${round}-0`), total)).toBe(-500);
  }
}, 240_000);
