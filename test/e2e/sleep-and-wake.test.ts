import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DaemonHere } from '../fixture/daemon-here.js';
import { Production } from '../fixture/production.js';
import { query, value } from '../fixture/query.js';
import { ScratchDirectory } from '../fixture/scratch-directory.js';
import { waitUntil } from '../fixture/wait-until.js';
import { importInto } from '../fixture/world.js';

const app = { user: 'app', password: 'a secret' };
let scratch: ScratchDirectory;
let production: Production;
let daemon: DaemonHere;

beforeAll(async () => {
  scratch = new ScratchDirectory('sleep');
  production = await Production.start(`${scratch.path}/production`, {});
  await query(
    production.url(),
    `create role app login superuser password 'a secret'`,
    `create role nameless login`,
    'create table item (id int primary key, n int not null)',
    'insert into item select i, i from generate_series(1, 1000) i',
    'vacuum analyze',
  );
  daemon = await DaemonHere.start(`${scratch.path}/data`, {
    wake: { idleTimeoutSeconds: 2, queueTimeoutMs: 120_000, busyLookMs: 500 },
    computeLimits: { computesMax: 25 },
  });
  await importInto(daemon.client, 'prod', production.url());
});

afterAll(async () => {
  await daemon?.close();
  await production?.stop();
  scratch?.[Symbol.dispose]();
});

const activityOf = async (name: string) => (await daemon.client.branch(name)).activity;
const asleep = (name: string) =>
  waitUntil(`${name} sleeps`, async () => (await activityOf(name)).state === 'asleep');

async function branch(name: string, idle_timeout?: number): Promise<void> {
  await daemon.client.createBranch({
    name,
    from: 'prod',
    ...(idle_timeout === undefined ? {} : { idle_timeout }),
  });
}

/** One statement on a connection of its own. */
async function ask(name: string, statement: string): Promise<unknown> {
  const client = await daemon.connect(name, app);
  try {
    const { rows } = await client.query(statement);
    return rows[0] === undefined ? undefined : Object.values(rows[0])[0];
  } finally {
    await client.end();
  }
}

test('a branch wakes for a connection, sleeps after it, and wakes with all that was committed', async () => {
  await branch('a');
  expect(await ask('a', 'select count(*)::int from item')).toBe(1000);
  const first = await activityOf('a');
  expect(first).toMatchObject({
    state: 'awake',
    wakes: 1,
    last_wake: { phases_ms: { first_query: expect.any(Number) } },
  });
  await ask('a', `insert into item select i, -1 from generate_series(1001, 2000) i`);
  await asleep('a');
  const [compute] = (await daemon.client.computes()).filter((each) => each.branch === 'a');
  expect(compute).toMatchObject({ state: 'stopped', reason: expect.stringContaining('put to sleep') });
  expect(compute?.address).toBeUndefined();
  expect(await ask('a', 'select count(*)::int from item where n = -1')).toBe(1000);
  expect(await activityOf('a')).toMatchObject({ wakes: 2 });
});

test('whoever logs in does so with the password that the role has in production', async () => {
  await branch('passwords');
  await expect(daemon.connect('passwords', { ...app, password: 'wrong' })).rejects.toMatchObject({
    code: '28P01',
  });
  await expect(daemon.connect('passwords', { user: 'nameless', password: 'x' })).rejects.toMatchObject({
    code: '28P01',
  });
  // The client hears of the refusal a moment before the gateway has let go of the branch.
  const connections = async () => (await activityOf('passwords')).connections;
  await expect.poll(connections, { timeout: 20_000 }).toBe(0);
});

test('an idle connection keeps it awake, and so do a transaction and a query on its Unix socket', async () => {
  await branch('busy');
  const client = await daemon.connect('busy', app);
  await sleep(3500);
  expect(await activityOf('busy')).toMatchObject({ state: 'awake', connections: 1 });
  const { url } = await daemon.client.connectionString('busy', { via: 'socket' });
  const longQuery = query(url, 'select pg_sleep(4)');
  await client.end();
  await longQuery;
  const inTransaction = new pg.Client({ connectionString: url });
  await inTransaction.connect();
  await inTransaction.query('begin');
  await inTransaction.query('create table unfinished (n int)');
  await sleep(4500);
  await inTransaction.query('commit');
  await inTransaction.end();
  expect(await activityOf('busy')).toMatchObject({ state: 'awake', connections: 0, wakes: 1 });
  await asleep('busy');
  expect(await activityOf('busy')).toMatchObject({ wakes: 1 });
});

test('a replication connection keeps it awake', async () => {
  await branch('replicated');
  const client = await daemon.connect('replicated', { ...app, ...({ replication: 'true' } as object) });
  const { rows } = await client.query('IDENTIFY_SYSTEM');
  expect(rows).toHaveLength(1);
  await sleep(3000);
  expect(await activityOf('replicated')).toMatchObject({ state: 'awake' });
  await client.end();
  await asleep('replicated');
});

test('a stop by hand says how many sessions it ended, and the next connection wakes it', async () => {
  await branch('stopped', 0);
  const clients = [await daemon.connect('stopped', app), await daemon.connect('stopped', app)];
  await clients[0]?.query('create table kept as select 1 as n');
  const stopped = await daemon.client.stopCompute('stopped');
  expect(stopped).toMatchObject({ state: 'stopped', connections_ended: 2 });
  expect(await ask('stopped', 'select n from kept')).toBe(1);
  await sleep(3000);
  expect(await activityOf('stopped')).toMatchObject({ state: 'awake', connections: 0 });
  await daemon.client.stopCompute('stopped');
});

test('a compute that is killed under its connections is woken anew, with what was committed', async () => {
  await branch('killed', 60);
  const client = await daemon.connect('killed', app);
  await client.query('create table kept as select 7 as n');
  const { rows } = await client.query('select pg_backend_pid() as pid');
  const ended = new Promise((resolve) => client.once('end', resolve));
  process.kill(rows[0].pid, 'SIGKILL');
  await ended;
  // Between a backend's death and Postgres' own end connections are refused, which no client hears of.
  expect(await ask('killed', 'select n from kept')).toBe(7);
  expect(await activityOf('killed')).toMatchObject({ wakes: 2 });
  await daemon.client.stopCompute('killed');
});

describe('many at once', () => {
  test('twenty branches are opened at once, and all answer', async () => {
    const names = Array.from({ length: 20 }, (_, n) => `many-${n}`);
    for (const name of names) await branch(name, 30);
    const answers = await Promise.all(
      names.map((name, n) => ask(name, `select n + ${n} from item where id = 1`)),
    );
    expect(answers).toEqual(names.map((_, n) => 1 + n));
    // The same branch by many is one wake.
    await daemon.client.stopCompute('many-0');
    const more = await Promise.all(Array.from({ length: 30 }, () => ask('many-0', 'select 1')));
    expect(more).toHaveLength(30);
    expect((await activityOf('many-0')).wakes).toBe(2);
    for (const name of names) await daemon.client.deleteBranch(name);
  });
});

describe('with room for two', () => {
  let small: DaemonHere;
  const names = ['w', 'x', 'y', 'z'];

  beforeAll(async () => {
    small = await DaemonHere.start(`${scratch.path}/small`, {
      wake: { idleTimeoutSeconds: 600, queueTimeoutMs: 20_000, busyLookMs: 200 },
      computeLimits: { computesMax: 2 },
    });
    await importInto(small.client, 'prod', production.url());
    for (const name of names) await small.client.createBranch({ name, from: 'prod' });
  });
  afterAll(() => small?.close());

  test('four branches are used in turn, and keep what they were given', async () => {
    for (let round = 1; round <= 2; round += 1) {
      for (const name of names) {
        const client = await small.connect(name, app);
        await client.query('create table if not exists turn (n int)');
        await client.query(`insert into turn values (${round})`);
        const { rows } = await client.query('select count(*)::int as n from turn');
        expect(rows).toEqual([{ n: round }]);
        await client.end();
        const running = (await small.client.computes()).filter(({ state }) => state !== 'stopped');
        expect(running.length).toBeLessThanOrEqual(2);
      }
    }
    const status = await small.client.status();
    expect(status).toMatchObject({ computes_max: 2, wakes_waiting: 0 });
  });

  test('a third connection waits for room, and gets it when one of the others ends', async () => {
    const [w, x] = [await small.connect('w', app), await small.connect('x', app)];
    const third = small.connect('y', app);
    await waitUntil('it waits', async () => (await small.client.status()).wakes_waiting === 1);
    await w.end();
    const y = await third;
    expect((await small.client.branch('w')).activity.state).toBe('asleep');
    await Promise.all([x.end(), y.end()]);
  });

  test('when all stay busy it is refused with what to do', async () => {
    const busy = [await small.connect('w', app), await small.connect('x', app)];
    await expect(small.connect('y', app)).rejects.toMatchObject({
      code: '53300',
      message: expect.stringMatching(/2 computes are awake.*computesMax 2.*stop one/),
    });
    await Promise.all(busy.map((client) => client.end()));
  }, 60_000);
});

test('the end of the daemon refuses who waits, and what is known of branches outlives it', async () => {
  const data = `${scratch.path}/again`;
  const settings = { computeLimits: { computesMax: 4 } };
  const first = await DaemonHere.start(data, settings);
  await importInto(first.client, 'prod', production.url());
  await first.client.createBranch({ name: 'b', from: 'prod', idle_timeout: 77 });
  await (await first.connect('b', app)).end();
  await first.client.createBranch({ name: 'never', from: 'prod' });
  const waiting = expect(first.connect('never', app)).rejects.toMatchObject({ code: '57P01' });
  await waitUntil('it waits', async () => (await first.client.status()).gateway?.parked === 1);
  await first.close();
  await waiting;
  await expect(first.connect('b', app)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  const second = await DaemonHere.start(data, settings);
  expect(await second.client.branch('b')).toMatchObject({
    idle_timeout: 77,
    activity: { state: 'asleep', wakes: 1, last_connection_at: expect.any(String) },
  });
  expect(await value(production.url(), 'select count(*)::int from item')).toBe(1000);
  await second.close();
});
