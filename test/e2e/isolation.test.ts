import { readFileSync } from 'node:fs';
import { availableParallelism, getPriority } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { DaemonHere } from '../fixture/daemon-here.js';
import { Production } from '../fixture/production.js';
import { query } from '../fixture/query.js';
import { ScratchDirectory } from '../fixture/scratch-directory.js';
import { waitUntil } from '../fixture/wait-until.js';
import { importInto } from '../fixture/world.js';

const MIB = 1024 ** 2;
const app = { user: 'app', password: 'a secret' };
const tuning = {
  compute: { tempFileBytesMax: 16 * MIB },
  computeLimits: { localBytesMax: 160 * MIB, diskCheckMs: 100, lookMs: 200 },
  quota: { checkMs: 50 },
  gateway: { connectionsPerBranchMax: 12, connectionsMax: 40 },
  size: { cpuMinMillicores: 200, cpuMaxMillicores: 1000 },
};
let scratch: ScratchDirectory;
let production: Production;
let daemon: DaemonHere;

beforeAll(async () => {
  scratch = new ScratchDirectory('isolation');
  production = await Production.start(`${scratch.path}/production`, {});
  await query(
    production.url(),
    `create role app login superuser password 'a secret'`,
    'create table item (id int primary key, n int not null)',
    'insert into item select i, i from generate_series(1, 1000) i',
    'vacuum analyze',
  );
  daemon = await DaemonHere.start(`${scratch.path}/data`, tuning);
  await importInto(daemon.client, 'prod', production.url());
});

afterAll(async () => {
  await daemon?.close();
  await production?.stop();
  scratch?.[Symbol.dispose]();
});

const opened: pg.Client[] = [];

async function connect(name: string): Promise<pg.Client> {
  const client = await daemon.connect(name, app);
  opened.push(client);
  return client;
}

afterEach(async () => {
  // Of a compute that has ended nothing is left to end.
  await Promise.allSettled(opened.splice(0).map((client) => client.end()));
});

async function ask(client: pg.Client, statement: string): Promise<unknown> {
  const { rows } = await client.query(statement);
  return rows[0] === undefined ? undefined : Object.values(rows[0])[0];
}

/** A branch, and a connection to it. */
async function branch(
  name: string,
  settings: Partial<Parameters<DaemonHere['client']['createBranch']>[0]> = {},
): Promise<pg.Client> {
  await daemon.client.createBranch({ name, from: 'prod', ...settings });
  return connect(name);
}

const fill = (table: string, rows: number) =>
  // Not from generate_series, which would first go to a temporary file.
  `insert into ${table} select generate_series(1, ${rows}), repeat('x', 1000)`;
const overQuota = (name: string, quota: string) =>
  expect.objectContaining({
    code: '53100',
    message: expect.stringMatching(
      new RegExp(`^branch ${name} has written \\S+ and has reached its write quota of ${quota}$`),
    ),
    hint: expect.stringContaining(`pageserver-ctl branch update ${name} --write-quota`),
  });

describe('a branch that has written as much as it may', () => {
  test('gets errors that say so, in whatever it does to write; what is there can be read', async () => {
    const other = await branch('beside');
    const client = await branch('full', { write_quota_bytes: 8 * MIB });
    const { written_bytes: least = -1 } = await daemon.client.branch('full');
    expect(least).toBeLessThan(MIB);
    await client.query('create table filled (id int, t text); create temporary table own (id int)');
    // Under way when the quota is reached.
    await expect(client.query(fill('filled', 10_000_000))).rejects.toEqual(overQuota('full', '8MiB'));
    expect(await daemon.client.branch('full')).toMatchObject({
      writes: 'refused',
      write_quota_bytes: 8 * MIB,
    });
    const refused = [
      'insert into item values (-1, -1)',
      'update item set n = 0',
      'set default_transaction_read_only = off; set transaction_read_only = off; delete from item',
      'create table another (id int)',
      'truncate item',
      'begin read write; delete from item',
      'with gone as (delete from item returning id) select count(*) from gone',
      "do $$ begin execute 'delete from item'; end $$",
    ];
    for (const statement of refused) {
      await expect(client.query(statement), statement).rejects.toEqual(overQuota('full', '8MiB'));
      await client.query('rollback');
    }
    expect(await ask(client, 'select count(*)::int from item')).toBe(1000);
    expect(await ask(client, 'insert into own values (1) returning id')).toBe(1);
    await other.query('update item set n = 0');
    expect(await daemon.client.branch('beside')).toMatchObject({ writes: 'taken' });
  });

  test('gets them also after its compute and the page server were started anew', async () => {
    await daemon.client.stopCompute('full');
    const write = async () => {
      const client = await connect('full');
      await client.query('update item set n = n + 1');
    };
    await expect(write()).rejects.toEqual(overQuota('full', '8MiB'));
    await daemon.close();
    daemon = await DaemonHere.start(`${scratch.path}/data`, tuning);
    await expect(write()).rejects.toEqual(overQuota('full', '8MiB'));
  });

  test('goes on in the same session when its quota is raised', async () => {
    const client = await branch('raised', { write_quota_bytes: 8 * MIB });
    await client.query('create table filled (id int, t text)');
    const fillSlowly = async () => {
      // What one statement writes before it is stopped has no bound, and far past its quota a branch is only read.
      for (;;) {
        await client.query(fill('filled', 1000));
        await sleep(60);
      }
    };
    await expect(fillSlowly()).rejects.toEqual(overQuota('raised', '8MiB'));
    await expect(client.query('update item set n = 5')).rejects.toEqual(overQuota('raised', '8MiB'));
    await daemon.client.updateBranch('raised', { write_quota_bytes: 100 * MIB });
    await client.query('update item set n = 5');
    await daemon.client.updateBranch('raised', { write_quota_bytes: MIB });
    await expect(client.query('update item set n = 6')).rejects.toEqual(overQuota('raised', '1MiB'));
    const { written_bytes: written } = await daemon.client.updateBranch('raised', { write_quota_bytes: 0 });
    expect(written).toBeGreaterThan(8 * MIB);
    await client.query('update item set n = 7');
  });

  test('keeps its role’s password a secret all the same, and wakes', async () => {
    const { credentials } = await daemon.client.createBranch({
      name: 'full-with-role',
      from: 'prod',
      role: {},
      write_quota_bytes: MIB,
    });
    const login = (password: string) => ({ user: credentials?.role ?? '', password });
    const first = login(credentials?.password ?? '');
    const client = await daemon.connect('full-with-role', first);
    opened.push(client);
    await client.query('create table filled (id int, t text)');
    await expect(client.query(fill('filled', 10_000_000))).rejects.toMatchObject({ code: '53100' });
    const { credentials: second } = await daemon.client.rotatePassword('full-with-role');
    await expect(daemon.connect('full-with-role', first)).rejects.toMatchObject({ code: '28P01' });
    await daemon.client.stopCompute('full-with-role');
    // While it sleeps, too; and what a start leaves out between two segments was not written.
    const { credentials: third } = await daemon.client.rotatePassword('full-with-role');
    await expect(daemon.connect('full-with-role', login(second.password))).rejects.toMatchObject({
      code: '28P01',
    });
    const woken = await daemon.connect('full-with-role', login(third.password));
    opened.push(woken);
    await woken.query('select count(*) from filled');
    await expect(woken.query('delete from item')).rejects.toEqual(overQuota('full-with-role', '1MiB'));
  });

  test('is ended when it goes on to write what Postgres does not refuse, and can be read', async () => {
    const client = await branch('past', { write_quota_bytes: MIB });
    await client.query('create table filled (id int, t text)');
    await expect(client.query(fill('filled', 10_000_000))).rejects.toEqual(overQuota('past', '1MiB'));
    const message = `select pg_logical_emit_message(false, 'x', repeat('x', 100000)) is not null`;
    const writing = async () => {
      for (;;) await client.query(message);
    };
    await expect(writing()).rejects.toThrow();
    await waitUntil('it has ended', async () => (await daemon.client.branch('past')).compute === 'crashed');
    const reader = await connect('past');
    await reader.query('select count(*) from filled');
    // Postgres itself refuses everything now.
    await expect(reader.query(message)).rejects.toThrow(/recovery/);
    await daemon.client.updateBranch('past', { write_quota_bytes: 0 });
    await daemon.client.stopCompute('past');
    const writer = await connect('past');
    await writer.query('delete from item');
  });
});

test('what counts is what was written, not how often a compute was started', async () => {
  await branch('counted');
  for (const round of [1, 2, 3]) {
    const client = await connect('counted');
    await client.query(`update item set n = ${round} where id = 1`);
    await daemon.client.stopCompute('counted');
    const { written_bytes: written = 0 } = await daemon.client.branch('counted');
    expect(written).toBeGreaterThan(100 * round);
    expect(written).toBeLessThan(MIB);
  }
});

test("Postgres' memory follows the branch's size, and an allocation beyond it fails alone", async () => {
  const client = await branch('small', { memory_bytes: 256 * MIB, cpu_max: 0.5 });
  const beside = await connect('small');
  expect(await ask(client, 'show shared_buffers')).toBe('16MB');
  expect(await ask(client, 'show max_parallel_workers')).toBe('1');
  const hog = `select length(string_agg(repeat(md5(i::text), 32000), '')) from generate_series(1, 400) i`;
  await expect(client.query(hog)).rejects.toMatchObject({ code: '53200' });
  expect(await ask(client, 'select 1')).toBe(1);
  expect(await ask(beside, 'select 1')).toBe(1);
  expect(await daemon.client.branch('small')).toMatchObject({
    size: { cpu_min: 0.2, cpu_max: 0.5, memory_bytes: 256 * MIB },
    activity: { wakes: 1 },
  });
});

test('temporary files end their statement, other local files the compute; what was committed stays', async () => {
  const client = await branch('disk');
  await client.query('create table kept as select 1 as id');
  await expect(
    client.query(
      'select count(*) from (select repeat(md5(i::text), 50) t from generate_series(1, 100000) i order by 1) s',
    ),
  ).rejects.toMatchObject({ code: '53400' });
  await client.query('create unlogged table heap (id int, t text)');
  await expect(client.query(fill('heap', 10_000_000))).rejects.toThrow();
  await waitUntil('the compute was ended', async () => {
    const [compute] = (await daemon.client.computes()).filter((each) => each.branch === 'disk');
    return compute?.state === 'crashed' && /its local files took \d+ bytes/.test(compute.reason ?? '');
  });
  const again = await connect('disk');
  expect(await ask(again, 'select id from kept')).toBe(1);
});

test('a branch that takes much of what another wants has its minimum of the processor, and its maximum again after', async () => {
  const cores = availableParallelism();
  const busy = await branch('busy');
  await branch('runaway', { cpu_min: 0.2, cpu_max: cores });
  const shareOf = async (name: string) => (await daemon.client.branch(name)).usage?.cpu_share ?? 0;
  const work = 'select count(*) from item a, item b, item c where a.n + b.n + c.n < 0';
  const ended = async (client: pg.Client, pause: number) => {
    // Small pieces of work, with pauses.
    for (;;)
      await client.query(
        `select count(*) from item a, item b where a.n + b.n < 0; select pg_sleep(${pause})`,
      );
  };
  const hogs = await Promise.all(Array.from({ length: 2 * cores }, () => connect('runaway')));
  for (const hog of hogs) hog.query(work).catch(() => {});
  // Computes of the tests before may want some of it for a moment.
  await waitUntil('alone it has its maximum', async () => (await shareOf('runaway')) === cores);
  ended(busy, 0.1).catch(() => {});
  await waitUntil(
    'the share of one that takes much falls',
    async () => (await shareOf('runaway')) === 0.2,
    60_000,
  );
  const pid = Number(await pidOf('runaway'));
  const { isolation } = await daemon.client.status();
  if (isolation.means === 'cgroup') {
    const group = join(isolation.cgroup ?? '', await computeOf('runaway'));
    const weight = () => readFileSync(join(group, 'cpu.weight'), 'utf8').trim();
    await waitUntil('its weight is low', () => weight() === '20');
    expect(readFileSync(join(group, 'cpu.max'), 'utf8').trim()).toBe(`${cores * 100_000} 100000`);
    expect(readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n')).toContain(String(pid));
  } else {
    expect(isolation.reason).toMatch(/./);
    await waitUntil('its processes are of low priority', () => getPriority(pid) >= 10);
  }
  await daemon.client.stopCompute('busy');
  await waitUntil(
    'it has its maximum when nobody else wants any',
    async () => (await shareOf('runaway')) === cores,
  );
  await daemon.client.updateBranch('runaway', { cpu_max: 0.3 });
  expect(await shareOf('runaway')).toBe(0.3);
  await expect(daemon.client.updateBranch('runaway', { cpu_min: 0.5 })).rejects.toThrow(/minimum of CPU/);
  await daemon.client.stopCompute('runaway');
});

test('all processes of a compute are in one session, and a query can be cancelled, a session ended', async () => {
  await branch('session');
  const [client, other] = [await connect('session'), await connect('session')];
  const pid = await pidOf('session');
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  expect(children.length).toBeGreaterThanOrEqual(6);
  for (const child of children) {
    // The group, by which Postgres sends signals, and the session; see proc(5).
    const [, , group, session] = readFileSync(`/proc/${child}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    expect([group, session]).toEqual([child, pid]);
  }
  const backend = await ask(client, 'select pg_backend_pid()');
  const sleeping = expect(client.query('select pg_sleep(600)')).rejects.toMatchObject({ code: '57014' });
  const cancelled = () =>
    ask(
      other,
      `select pg_cancel_backend(pid) from pg_stat_activity where pid = ${backend} and wait_event = 'PgSleep'`,
    );
  await waitUntil('it sleeps, and is cancelled', async () => (await cancelled()) === true);
  await sleeping;
  const ended = expect(client.query('select pg_sleep(600)')).rejects.toMatchObject({ code: '57P01' });
  await other.query(`select pg_terminate_backend(${backend})`);
  await ended;
});

test('connections to one branch leave room for those to others', async () => {
  await branch('flood');
  const more = await Promise.allSettled(Array.from({ length: 30 }, () => connect('flood')));
  const refused = more.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
  expect(refused.length).toBeGreaterThanOrEqual(19);
  for (const reason of refused) expect(reason).toMatchObject({ code: '53300' });
  const beside = await branch('not-flooded');
  expect(await ask(beside, 'select 1')).toBe(1);
});

async function computeOf(name: string): Promise<string> {
  const [compute] = (await daemon.client.computes()).filter((each) => each.branch === name);
  return compute?.id ?? '';
}

async function pidOf(name: string): Promise<string> {
  const [compute] = (await daemon.client.computes()).filter((each) => each.branch === name);
  const directory = join(compute?.log_file ?? '', '../../pgdata');
  return readFileSync(join(directory, 'postmaster.pid'), 'utf8').split('\n', 1)[0] ?? '';
}
