import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CreateBranchRequest, CreatedBranch } from '@offshoot/client';
import { parseLsn } from '@offshoot/types';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ctl } from '../fixture/command-line.js';
import { DaemonProcess } from '../fixture/daemon-process.js';
import { Production } from '../fixture/production.js';
import { query } from '../fixture/query.js';
import { ScratchDirectory } from '../fixture/scratch-directory.js';
import { TcpProxy } from '../fixture/tcp-proxy.js';
import { waitUntil } from '../fixture/wait-until.js';
import { importInto } from '../fixture/world.js';

/** What production was after one transaction. */
interface Noted {
  /** By production's clock, after the commit had returned. */
  readonly time: string;
  readonly lsn: string;
  readonly content: unknown;
}

const TRANSACTIONS = 300;
const scratch = new ScratchDirectory('branch-at');
const dataDirectory = join(scratch.path, 'data');
const noted: Noted[] = [];
let production: Production;
let network: TcpProxy;
let daemon: DaemonProcess;

const CONTENT = `select count(*)::int as entries, coalesce(sum(amount), 0)::int as amount,
  (select md5(string_agg(id || ':' || balance, ',' order by id)) from account) as balances,
  (select count(*)::int from pg_class where relname like 'extra%') as extras from entry`;

beforeAll(async () => {
  production = await Production.start(join(scratch.path, 'production'), { listen: 'loopback' });
  network = await TcpProxy.start(() => ({
    host: '127.0.0.1',
    port: Number(new URL(production.url()).port),
  }));
  await query(
    production.url(),
    'create table account (id int primary key, balance int not null)',
    'insert into account select i, 0 from generate_series(1, 200) i',
    'create table entry (id serial primary key, account int, amount int)',
  );
  daemon = await DaemonProcess.start(dataDirectory);
  const source = Object.assign(new URL(production.url()), { port: network.port }).href;
  await importInto(daemon.client(), 'prod', source);
  await workload();
});

afterAll(async () => {
  await daemon?.end('SIGTERM');
  await network?.[Symbol.asyncDispose]();
  await production?.stop('immediate');
  scratch[Symbol.dispose]();
});

/** The same transactions each time: transfers, and now and then DDL, a rollback, a vacuum, a checkpoint. */
async function workload(): Promise<void> {
  const client = new pg.Client({ connectionString: production.url() });
  await client.connect();
  for (let n = 1; n <= TRANSACTIONS; n += 1) {
    await client.query('begin');
    await client.query(
      `insert into entry (account, amount) select 1 + (${n} * 7 + i) % 200, i from generate_series(1, 5) i`,
    );
    await client.query(`update account set balance = balance + ${n} where id % 10 = ${n % 10}`);
    if (n % 25 === 0) await client.query(`create table extra_${n} as select * from account`);
    await client.query('commit');
    noted.push(await note(client));
    if (n % 20 === 0) {
      await client.query('begin');
      await client.query('delete from entry');
      await client.query('rollback');
    }
    if (n % 60 === 0) await client.query('vacuum account');
    if (n % 100 === 0) await client.query('checkpoint');
    await sleep(n % 7);
  }
  await client.end();
}

async function note(client: pg.Client): Promise<Noted> {
  const { rows } = await client.query(
    `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') as time,
       pg_current_wal_flush_lsn()::text as lsn`,
  );
  const content = (await client.query(CONTENT)).rows[0];
  return { ...(rows[0] as { time: string; lsn: string }), content };
}

/** Makes a branch, answers what is in it, and removes it. */
async function contentAt(at: string, from = 'prod'): Promise<{ made: CreatedBranch; content: unknown }> {
  const name = `at-${Math.random().toString(36).slice(2)}`;
  const made = await daemon.client().createBranch({ name, from, at });
  const content = await contentOf(name);
  await daemon.client().deleteBranch(name);
  return { made, content };
}

async function contentOf(branch: string): Promise<unknown> {
  const client = daemon.client();
  await client.startCompute(branch);
  const { url } = await client.connectionString(branch, { via: 'socket' });
  return (await query(url, CONTENT))[0];
}

/** How many branches are made and looked at at one time. */
const AT_ONCE = 4;

/** Does the same with each; a few at one time. */
async function withEach<T>(
  items: readonly T[],
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  const left = [...items.entries()];
  const worker = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await work(next[1], next[0]);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** A sample of the workload, its first and its last transaction among it. */
function sample(count: number): Noted[] {
  return Array.from({ length: count }, (_, i) => {
    const at = noted[Math.round((i * (noted.length - 1)) / (count - 1))];
    if (at === undefined) throw new Error('the workload has not run');
    return at;
  });
}

const refusal = async (request: CreateBranchRequest) =>
  await daemon
    .client()
    .createBranch(request)
    .then(
      () => expect.unreachable('it was accepted'),
      (error) => error,
    );

test('a branch at a time is what production was then', async () => {
  await withEach(sample(20), async ({ time, content }, index) => {
    const zones = [`${time}Z`, `${time.replace(' ', 'T')}+00:00`, time];
    const { made, content: found } = await contentAt(String(zones[index % 3]));
    expect(found, time).toEqual(content);
    const { at } = made;
    expect(at).toMatchObject({ kind: 'time', lsn: made.branch.base_lsn, time: `${time.replace(' ', 'T')}Z` });
    expect(at.assumed_zone).toBe(index % 3 === 2 ? 'UTC' : undefined);
    const lastCommit = String(at.last_commit_time);
    expect(lastCommit <= `${time.replace(' ', 'T')}Z`, `${lastCommit} ${time}`).toBe(true);
    expect(Number(at.data_age_ms)).toBeGreaterThan(-1);
  });
});

test('a branch at an LSN is what production was there', async () => {
  await withEach(sample(10), async ({ lsn, content }) => {
    const { made, content: found } = await contentAt(lsn);
    expect(found, lsn).toEqual(content);
    expect(made).toMatchObject({ branch: { base_lsn: lsn }, at: { kind: 'lsn', lsn } });
  });
});

test('amid a transaction, its changes are not there', async () => {
  const [before, after] = [noted[100], noted[101]];
  const middle = (parseLsn(String(before?.lsn)) + parseLsn(String(after?.lsn))) / 2n;
  const { content } = await contentAt(
    `${(middle >> 32n).toString(16)}/${(middle & 0xffff_ffffn).toString(16)}`,
  );
  expect(content).toEqual(before?.content);
});

test('now holds what was committed just before, each time', async () => {
  const client = daemon.client();
  const rounds: { name: string; expected: unknown }[] = [];
  for (let round = 1; round <= 30; round += 1) {
    const [name, began] = [`now-${round}`, Date.now()];
    await query(production.url(), `insert into entry (account, amount) values (1, ${round})`);
    const { at } = await client.createBranch({ name, from: 'prod', at: 'now' });
    expect(Number(at.data_age_ms)).toBeLessThanOrEqual(Date.now() - began);
    rounds.push({ name, expected: (await query(production.url(), CONTENT))[0] });
  }
  await withEach(rounds, async ({ name, expected }) => {
    expect(await contentOf(name), name).toEqual(expected);
    await client.deleteBranch(name);
  });
});

test('a time since the newest commit is asked of production first', async () => {
  const client = new pg.Client({ connectionString: production.url() });
  await client.connect();
  const began = Date.now();
  for (let round = 0; round < 5; round += 1) {
    await client.query('insert into entry (account, amount) values (1, 1000)');
    const { time, content } = await note(client);
    expect((await contentAt(`${time}Z`)).content, time).toEqual(content);
  }
  await client.end();
  // These commits are before that.
  await sleep(1000);
  const { made } = await contentAt('-1s');
  expect(made.at.kind).toBe('time');
  expect(Number(made.at.data_age_ms)).toBeLessThanOrEqual(Date.now() - began);
});

test('the command line says what it chose', async () => {
  const { time, lsn } = noted[50] as Noted;
  const text = await ctl(dataDirectory, 'branch', 'create', 'said', '--from', 'prod', '--at', time);
  expect(text).toMatchObject({ code: 0, stderr: '' });
  expect(text.stdout).toMatch(/^created branch said from prod at \w+\/\w+ in /);
  expect(text.stdout).toContain(`as of        ${time.replace(' ', 'T')}Z (no zone was given: taken as UTC)`);
  expect(text.stdout).toMatch(/last commit {2}20\d\d-.*Z\n {2}data age {5}\d+\.\d s/);
  const json = await ctl(dataDirectory, 'branch', 'create', 'json', '--at', lsn, '--json');
  expect(JSON.parse(json.stdout)).toMatchObject({
    branch: { name: 'json', base_lsn: lsn },
    at: { kind: 'lsn', lsn, last_commit_time: expect.any(String), data_age_ms: expect.any(Number) },
  });
  const ago = await ctl(dataDirectory, 'branch', 'create', 'ago', '--at', '-1s', '--timeout', '20');
  expect(ago).toMatchObject({ code: 0, stdout: expect.stringContaining('as of') });
  for (const name of ['said', 'json', 'ago']) await daemon.client().deleteBranch(name);
  const help = (await ctl(dataDirectory, 'branch', 'create', '--help')).stdout;
  for (const word of ['latest', 'now', '0/16B5A50', '2026-11-21T12:00:00Z', '-5m', '--timeout']) {
    expect(help).toContain(word);
  }
});

describe('refused, the same each time:', () => {
  test.each([
    ['an LSN before the import', () => '0/1000028'],
    ['an LSN far ahead of production', () => 'FF/0'],
    ['a time before the import', () => '2020-01-01T00:00:00Z'],
    ['a time in the future', () => new Date(Date.now() + 3_600_000).toISOString()],
  ])('%s', async (_, at) => {
    const { readable_from_lsn: from } = await daemon.client().tenant('prod');
    for (let time = 0; time < 2; time += 1) {
      const error = await refusal({ name: 'refused', at: at() });
      expect(error).toMatchObject({ code: 'branch_point_out_of_range', problem: { status: 422 } });
      if (at().includes('/') || at().startsWith('2020')) {
        expect(error.message).toMatch(
          new RegExp(`from ${from} to \\w+/\\w+ \\(from 20\\S+Z to 20\\S+Z\\), not at`),
        );
      } else {
        expect(error.message).toContain('is in the future');
      }
    }
    expect((await daemon.client().branches()).map(({ name }) => name)).toEqual(['prod']);
  });

  test.each(['', 'newest', '0/', '5m', 'yesterday', '2026-02-30T00:00:00Z', '2026-11-21'])(
    '%j',
    async (at) => {
      const error = await refusal({ name: 'refused', at });
      expect(error).toMatchObject({ code: 'invalid_argument' });
      if (at !== '') expect(error.message).toMatch(/latest, now, an LSN like .* a time like .* -5m/);
    },
  );

  test('a timeout that is none', async () => {
    const { code, stderr } = await ctl(
      dataDirectory,
      'branch',
      'create',
      'x',
      '--at',
      'now',
      '--timeout',
      'soon',
    );
    expect([code, stderr]).toEqual([2, expect.stringContaining('write seconds')]);
  });
});

test('of a branch, now and latest are what its compute has acknowledged; times are its own', async () => {
  const client = daemon.client();
  await client.createBranch({ name: 'parent', from: 'prod', at: 'now' });
  await client.startCompute('parent');
  const { url } = await client.connectionString('parent', { via: 'socket' });
  const states: Noted[] = [];
  const session = new pg.Client({ connectionString: url });
  await session.connect();
  for (let n = 1; n <= 10; n += 1) {
    await session.query(`update account set balance = balance - ${n}`);
    states.push(await note(session));
    const { content } = await contentAt(n % 2 === 0 ? 'now' : 'latest', 'parent');
    expect(content, `after ${n}`).toEqual(states.at(-1)?.content);
  }
  await session.end();
  await withEach(states, async ({ time, content }) => {
    expect((await contentAt(`${time}Z`, 'parent')).content, time).toEqual(content);
  });
  const error = await refusal({ name: 'refused', from: 'parent', at: String(noted[3]?.lsn) });
  expect(error).toMatchObject({ code: 'branch_point_out_of_range' });
  await client.deleteBranch('parent');
});

test('what is not settled before the daemon is killed can be found by its time afterwards', async () => {
  await query(production.url(), 'insert into entry (account, amount) values (1, 1)');
  await daemon.end('SIGKILL');
  daemon = await DaemonProcess.start(dataDirectory);
  await withEach(sample(5), async ({ time, content }) => {
    expect((await contentAt(`${time}Z`)).content, time).toEqual(content);
  });
});

test('without production, now is refused with what is here; latest and the past go on', async () => {
  await contentAt('now');
  network.cut();
  await waitUntil(
    'it waits',
    async () => (await daemon.client().tenant('prod')).receiver?.state === 'waiting',
  );
  const error = await refusal({ name: 'refused', at: 'now' });
  expect(error).toMatchObject({ code: 'production_unreachable', problem: { retryable: true } });
  expect(error.message).toMatch(/here is what was written up to \w+\/\w+, last commit 20\S+Z$/);
  expect(error.problem.agent_action).toContain('--at latest');
  const { time, content } = noted[200] as Noted;
  expect((await contentAt(`${time}Z`)).content).toEqual(content);
  const { made } = await contentAt('latest');
  expect(made.at.data_age_ms).toBeGreaterThan(0);
  network.mend();
  await query(production.url(), 'insert into entry (account, amount) values (2, 2)');
  const expected = (await query(production.url(), CONTENT))[0];
  expect((await contentAt('now')).content).toEqual(expected);
});

test('WAL that does not arrive is waited for as long as was said', async () => {
  const before = (await daemon.client().tenant('prod')).last_record_lsn;
  network.freeze();
  await query(production.url(), 'insert into entry (account, amount) values (3, 3)');
  const { code, stdout, stderr } = await ctl(
    dataDirectory,
    ...['branch', 'create', 'late', '--at', 'now', '--timeout', '1.5', '--json'],
  );
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /production has WAL up to .*, of which up to .* has arrived .*; here is .*\n.*--at latest/,
  );
  expect(JSON.parse(stdout).error.code).toBe('production_behind');
  expect((await daemon.client().tenant('prod')).last_record_lsn).toBe(before);
  network.cut();
  network.mend();
  const expected = (await query(production.url(), CONTENT))[0];
  expect((await contentAt('now')).content).toEqual(expected);
});
