import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Receiver, Tenant } from '@offshoot/client';
import { parseLsn } from '@offshoot/types';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ctl } from '../fixture/command-line.js';
import { DaemonProcess } from '../fixture/daemon-process.js';
import { Production } from '../fixture/production.js';
import { query, value } from '../fixture/query.js';
import { ScratchDirectory } from '../fixture/scratch-directory.js';
import { TcpProxy } from '../fixture/tcp-proxy.js';
import { waitUntil } from '../fixture/wait-until.js';
import { importInto } from '../fixture/world.js';

const scratch = new ScratchDirectory('follow');
const dataDirectory = join(scratch.path, 'data');
const settingsFile = join(scratch.path, 'settings.json');
let production: Production;
let network: TcpProxy;
let daemon: DaemonProcess;
let serial = 0;

const settings = {
  follow: {
    slotCheckIntervalMs: 200,
    retryPauseMsMin: 100,
    retryPauseMsMax: 500,
    statusIntervalMs: 500,
    silenceMsMax: 6000,
    indexIntervalMs: 50,
    slotRetainedBytesMax: 512 * 1024 * 1024,
  },
};

beforeAll(async () => {
  production = await Production.start(join(scratch.path, 'production'), {
    listen: 'loopback',
    parameters: { wal_sender_timeout: '4s', max_prepared_transactions: '5', max_wal_size: '64MB' },
  });
  network = await TcpProxy.start(() => ({
    host: '127.0.0.1',
    port: Number(new URL(production.url()).port),
  }));
  await query(
    production.url(),
    'create extension amcheck',
    'create table account (id int primary key, balance bigint not null, note text)',
    'insert into account select i, 0, md5(i::text) from generate_series(1, 5000) i',
    'create index on account (balance)',
    'create index on account using hash (note)',
    'create table entry (id bigserial primary key, account int not null, amount bigint not null, tags text[])',
    'create index on entry using gin (tags)',
    'create table round (n int primary key, written timestamptz)',
  );
  daemon = await startDaemon();
  await importInto(daemon.client(), 'prod', sourceUrl());
});

afterAll(async () => {
  await daemon?.end('SIGTERM');
  await network?.[Symbol.asyncDispose]();
  await production?.stop('immediate');
  scratch[Symbol.dispose]();
});

function startDaemon(): Promise<DaemonProcess> {
  writeFileSync(settingsFile, JSON.stringify(settings));
  return DaemonProcess.start(dataDirectory, ['--settings', settingsFile]);
}

/** Production, as the daemon reaches it. */
function sourceUrl(): string {
  return Object.assign(new URL(production.url()), { port: network.port }).href;
}

/** The same each time but for its number: rows of all kinds, DDL, a vacuum. */
async function work(): Promise<void> {
  serial += 1;
  const n = serial;
  await query(
    production.url(),
    `insert into entry (account, amount, tags)
       select 1 + (i * 7919 * ${n}) % 5000, i % 100, array['t' || i % 10, 'r' || ${n}] from generate_series(1, 3000) i`,
    `update account set balance = balance + s.amount
       from (select account, sum(amount) as amount from entry where tags @> array['r' || ${n}] group by account) s
       where id = s.account`,
    `delete from entry where tags @> array['r' || ${n}] and id % 11 = 0`,
    `create table extra_${n} as select i, repeat(md5(i::text), 20) as v from generate_series(1, 500) i`,
    `create index on extra_${n} (i)`,
    n > 1 ? `drop table extra_${n - 1}` : 'select',
    `alter table round add column c${n} int default ${n}`,
    `insert into round (n, written) values (${n}, now())`,
    n % 2 === 0 ? 'vacuum account, entry' : 'checkpoint',
  );
}

async function tenant(): Promise<Tenant> {
  return await daemon.client().tenant('prod');
}

async function receiver(): Promise<Receiver> {
  const { receiver: seen } = await tenant();
  if (seen === undefined) throw new Error('nothing follows the tenant');
  return seen;
}

/** Every metric's value now, under its name with its labels. */
async function metrics(): Promise<Map<string, number>> {
  const headers = { authorization: `Bearer ${daemon.token}` };
  const response = await fetch(`${daemon.facts.api_url}/metrics`, { headers });
  expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  const lines = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const end = line.lastIndexOf(' ');
      return [line.slice(0, end), Number(line.slice(end + 1))];
    }),
  );
}

/** Everything that production has by now can be read here. */
async function caughtUp(timeoutMs = 60_000): Promise<Receiver | undefined> {
  const flushed = parseLsn(String(await value(production.url(), 'select pg_current_wal_flush_lsn()')));
  let seen: Receiver | undefined;
  const holds = async () => {
    seen = await receiver();
    const { state, source_lsn: source, lag_bytes: lag } = seen;
    return state === 'streaming' && source !== undefined && parseLsn(source) >= flushed && lag === 0;
  };
  await waitUntil('the page server has caught up', holds, timeoutMs).catch((error) => {
    throw new Error(`${error.message}: ${JSON.stringify(seen)}\n${daemon.log}`);
  });
  return seen;
}

const digests = [
  `select count(*)::int, sum(balance)::bigint, md5(string_agg(id || ':' || balance, ',' order by id)) from account`,
  `select count(*)::int, md5(string_agg(id || ':' || account || ':' || amount || tags::text, ',' order by id)) from entry`,
  `select count(*)::int from entry where tags @> array['t3']`,
  'select * from round order by n',
  `select relname, relkind from pg_class where relname like 'extra_%' order by 1`,
];

/** A branch made now is what production is now. */
async function expectSame(): Promise<void> {
  await caughtUp();
  const name = `try-${serial}-${Date.now()}`;
  const client = daemon.client();
  await client.createBranch({ name, from: 'prod' });
  await client.startCompute(name);
  const { url } = await client.connectionString(name, { via: 'socket' });
  for (const digest of digests) {
    expect(await query(url, digest)).toEqual(await query(production.url(), digest));
  }
  const checked = await value(
    url,
    `select count(bt_index_parent_check(c.oid, true, true))::int from pg_class c join pg_am a on a.oid = c.relam
       where a.amname = 'btree' and c.relkind = 'i' and c.relpersistence = 'p' and c.relnamespace = 'public'::regnamespace`,
  );
  expect(checked).toBeGreaterThan(3);
  await query(url, 'update account set balance = -1');
  await client.deleteBranch(name);
}

test('a branch shows what production wrote after the import, and earlier branches do not', async () => {
  const client = daemon.client();
  await client.createBranch({ name: 'before', from: 'prod' });
  await work();
  await work();
  await expectSame();
  await client.startCompute('before');
  const { url } = await client.connectionString('before', { via: 'socket' });
  expect(await value(url, 'select count(*)::int from entry')).toBe(0);
  await client.deleteBranch('before');
  const { slot } = await receiver();
  expect(slot).toMatchObject({
    name: expect.stringMatching(/^offshoot_[0-9a-f]{16}$/),
    wal_status: 'reserved',
  });
  const shown = (await ctl(dataDirectory, 'tenant', 'show', 'prod')).stdout;
  expect(shown).toMatch(/following +streaming from the source, .* behind/);
  expect(shown).toMatch(/slot +offshoot_[0-9a-f]{16} keeps .* \(reserved\)/);
  expect((await ctl(dataDirectory, 'status')).stdout).toMatch(/following +prod: streaming/);
});

test('metrics tell how production is followed', async () => {
  await work();
  const { received_lsn: received, lag_bytes: lag } = (await caughtUp()) ?? {};
  const seen = await metrics();
  const of = (name: string) => seen.get(`offshoot_${name}{tenant="prod"}`);
  expect(seen.get('offshoot_receiver_state{tenant="prod",state="streaming"}')).toBe(1);
  expect(seen.get('offshoot_receiver_state{tenant="prod",state="waiting"}')).toBe(0);
  // Production may write a little by itself in between.
  const flushed = Number(parseLsn(String(received)));
  expect(of('receiver_flushed_lsn_bytes')).toBeGreaterThanOrEqual(flushed);
  expect(of('receiver_received_lsn_bytes')).toBeGreaterThanOrEqual(flushed);
  expect(of('receiver_source_lsn_bytes')).toBeGreaterThanOrEqual(flushed);
  expect(Number(of('receiver_indexed_lsn_bytes'))).toBeGreaterThan(flushed - 1024 * 1024);
  expect(lag).toBe(0);
  expect(of('receiver_lag_bytes')).toBeLessThan(1024 * 1024);
  expect(of('receiver_lag_seconds')).toBeLessThan(30);
  // Nothing, when the last word to production was of its last byte.
  expect(of('slot_retained_bytes')).toBeGreaterThanOrEqual(0);
  expect(of('slot_retained_bytes_max')).toBe(settings.follow.slotRetainedBytesMax);
  expect(of('tenant_needs_reimport')).toBe(0);
  expect(of('slot_dropped')).toBe(0);
  expect(of('tenant_available')).toBe(1);
  expect(of('store_used_bytes')).toBeGreaterThan(1024 * 1024);

  const client = daemon.client();
  await client.createBranch({ name: 'watched', from: 'prod' });
  await client.startCompute('watched');
  const before = await metrics();
  expect(before.get('offshoot_computes{state="running"}')).toBe(1);
  expect(before.get('offshoot_compute_wal_receivers{state="streaming"}')).toBe(1);
  const { url } = await client.connectionString('watched', { via: 'socket' });
  await query(url, 'select count(*) from entry');
  const pages = 'offshoot_page_service_requests_total{request="get_page"}';
  expect(Number((await metrics()).get(pages))).toBeGreaterThan(Number(before.get(pages)));
  await client.deleteBranch('watched');
  const after = await metrics();
  expect(after.get('offshoot_compute_wal_receivers{state="streaming"}')).toBe(0);
  expect([...after.keys()].join()).not.toContain('watched');

  const reconnects = Number(of('receiver_reconnects_total'));
  network.cut();
  await waitUntil(
    'the metric says that it waits',
    async () => (await metrics()).get('offshoot_receiver_state{tenant="prod",state="waiting"}') === 1,
  );
  network.mend();
  await caughtUp();
  const mended = await metrics();
  expect(mended.get('offshoot_receiver_reconnects_total{tenant="prod"}')).toBe(reconnects + 1);
  expect(mended.get('offshoot_receiver_attempts_ended_total{tenant="prod"}')).toBeGreaterThan(0);
});

test('prepared transactions, truncates and databases come along', async () => {
  await query(
    production.url(),
    'create table prepared (i int)',
    'begin',
    `insert into prepared values (1); prepare transaction 'left-open'`,
    'truncate round',
    'create database other',
  );
  await query(production.url('other'), 'create table t as select generate_series(1, 1000) as i');
  await expectSame();
  const client = daemon.client();
  await client.createBranch({ name: 'others', from: 'prod' });
  await client.startCompute('others');
  const { url } = await client.connectionString('others', { database: 'other', via: 'socket' });
  expect(await value(url, 'select sum(i)::int from t')).toBe(500500);
  expect(await value(url, 'select gid from pg_prepared_xacts')).toBe('left-open');
  await client.deleteBranch('others');
  await query(production.url(), `commit prepared 'left-open'`);
});

test('goes on by itself when production restarts or crashes', async () => {
  for (const mode of ['fast', 'immediate'] as const) {
    await production.stop(mode);
    await waitUntil('it waits', async () => (await receiver()).state === 'waiting');
    expect((await receiver()).reason?.code).toMatch(/source_(unreachable|lost)/);
    await production.startAgain();
    await work();
    await expectSame();
  }
});

test('catches up after the network was cut, while production goes on', async () => {
  network.cut();
  await waitUntil('it waits', async () => (await receiver()).state === 'waiting');
  const began = Date.now();
  await work();
  await work();
  await sleep(2000);
  const during = await receiver();
  expect(['waiting', 'connecting']).toContain(during.state);
  expect(during.lag_seconds).toBeGreaterThan(1);
  expect(Date.now() - began).toBeLessThan(60_000);
  network.mend();
  await expectSame();
});

test('notices a network that swallows everything', async () => {
  const reconnects = async () =>
    Number((await metrics()).get('offshoot_receiver_reconnects_total{tenant="prod"}'));
  const before = await reconnects();
  network.freeze();
  await work();
  // It does not stay without one for long.
  await waitUntil('it gives the silent connection up', async () => (await reconnects()) > before);
  await expectSame();
});

test('loses nothing when the daemon is killed or stopped while production writes', async () => {
  for (const [round, signal] of (['SIGKILL', 'SIGKILL', 'SIGTERM', 'SIGKILL'] as const).entries()) {
    const working = work();
    await sleep(150 + round * 220);
    await daemon.end(signal);
    await working;
    daemon = await startDaemon();
    await expectSame();
  }
});

test('the password is where it has to be, and nowhere else', async () => {
  const { password } = new URL(production.url());
  const { id } = await tenant();
  const file = join(dataDirectory, 'tenants', id, 'source-url');
  expect(readFileSync(file, 'utf8').trim()).toBe(sourceUrl());
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(JSON.stringify(await tenant())).not.toContain(password);
  expect(readFileSync(join(dataDirectory, 'catalog', 'data.mdb')).includes(password)).toBe(false);
  expect(daemon.log).not.toContain(password);
});

test('a deleted tenant leaves no slot, or says how to drop it', async () => {
  const slots = () => value(production.url(), 'select count(*)::int from pg_replication_slots');
  const before = await slots();
  await importInto(daemon.client(), 'second', sourceUrl());
  expect(await slots()).toBe(Number(before) + 1);
  expect((await daemon.client().deleteTenant('second')).left_on_source).toBeUndefined();
  expect(await slots()).toBe(before);

  await importInto(daemon.client(), 'third', sourceUrl());
  network.cut();
  const { stderr, code } = await ctl(dataDirectory, 'tenant', 'delete', 'third');
  network.mend();
  expect(code).toBe(0);
  const [sql] = /SELECT pg_drop_replication_slot\('offshoot_[0-9a-f]{16}'\)/.exec(stderr) ?? [];
  expect(await slots()).toBe(Number(before) + 1);
  await query(production.url(), String(sql));
  expect(await slots()).toBe(before);
});

/** In metrics, `status`, `tenant show` and the API. */
async function saysThatSlotIsDropped(): Promise<void> {
  const gauge = async (name: string) => (await metrics()).get(name);
  await waitUntil(
    'the metric says that the slot is dropped',
    async () => (await gauge('offshoot_slot_dropped{tenant="prod"}')) === 1,
  );
  expect(await gauge('offshoot_tenant_needs_reimport{tenant="prod"}')).toBe(1);
  expect(await gauge('offshoot_receiver_state{tenant="prod",state="needs_reimport"}')).toBe(1);
  expect(await gauge('offshoot_receiver_state{tenant="prod",state="streaming"}')).toBe(0);
  expect((await tenant()).needs_reimport).toMatchObject({ slot: 'dropped' });
  const shown = (await ctl(dataDirectory, 'tenant', 'show', 'prod')).stdout;
  expect(shown).toMatch(/following +needs re-import/);
  expect(shown).toMatch(/the source kept \d+ bytes/);
  expect(shown).toMatch(/slot +offshoot_[0-9a-f]{16} is dropped/);
  expect((await ctl(dataDirectory, 'status')).stdout).toMatch(
    /prod: needs re-import.*, the slot is dropped: the source kept \d+ bytes/,
  );
}

test('gives its slot up past the cap; what is there stays, over restarts too', async () => {
  await caughtUp();
  await daemon.end('SIGTERM');
  Object.assign(settings.follow, { slotRetainedBytesMax: 24 * 1024 * 1024, silenceMsMax: 120_000 });
  daemon = await startDaemon();
  await caughtUp();
  network.freeze();
  const client = daemon.client();
  await query(
    production.url(),
    `create table bulk as select i, repeat(md5(i::text), 30) as v from generate_series(1, 50000) i`,
  );
  await waitUntil('the slot is given up', async () => (await tenant()).needs_reimport !== undefined);
  const slots = () => value(production.url(), 'select count(*)::int from pg_replication_slots');
  await waitUntil('the slot is dropped', async () => (await slots()) === 0);
  expect((await ctl(dataDirectory, 'tenant', 'list')).stdout).toMatch(/needs re-import/);
  expect((await ctl(dataDirectory, 'status')).stdout).toMatch(
    /prod: needs re-import.*: the source kept \d+ bytes/,
  );
  expect(daemon.log).toContain('a tenant needs to be imported again');
  await saysThatSlotIsDropped();

  const rows = async () => {
    const name = `kept-${Date.now()}`;
    await daemon.client().createBranch({ name, from: 'prod' });
    await daemon.client().startCompute(name);
    const { url } = await daemon.client().connectionString(name, { via: 'socket' });
    return await value(url, 'select count(*)::int from entry');
  };
  const there = await value(production.url(), 'select count(*)::int from entry');
  expect(await rows()).toBe(there);
  expect((await client.tenant('prod')).state).toBe('active');
  await daemon.end('SIGKILL');
  daemon = await startDaemon();
  expect(await tenant()).toMatchObject({
    needs_reimport: { code: 'replication_slot_lost' },
    receiver: { state: 'needs_reimport' },
  });
  await saysThatSlotIsDropped();
  expect(await rows()).toBe(there);
});

test('a promotion is another history: nothing of it is taken, and it can be imported', async () => {
  const stateOf = async (name: string) => (await daemon.client().tenant(name)).receiver;
  rmSync(settingsFile);
  Object.assign(settings.follow, { slotRetainedBytesMax: 512 * 1024 * 1024, silenceMsMax: 6000 });
  await daemon.end('SIGTERM');
  daemon = await startDaemon();
  await importInto(daemon.client(), 'again', sourceUrl());
  await waitUntil('it streams', async () => (await stateOf('again'))?.state === 'streaming');

  await production.stop();
  const signal = join(production.dataDirectory, 'standby.signal');
  writeFileSync(signal, '');
  production.own(signal);
  await production.startAgain();
  await query(
    production.url(),
    'select pg_promote()',
    // As on a real standby that is promoted: the slot was its primary's.
    'select pg_drop_replication_slot(slot_name) from pg_replication_slots',
  );
  await work();
  await waitUntil('it says so', async () => (await stateOf('again'))?.state === 'source_changed');
  expect((await stateOf('again'))?.reason).toEqual({
    code: 'source_changed',
    message: expect.stringMatching(/the source is on timeline 2 .* timeline 1/),
  });
  // However often the slot is looked for there: it may still be where it was made.
  await sleep(5 * settings.follow.slotCheckIntervalMs);
  expect(await daemon.client().tenant('again')).toMatchObject({ receiver: { state: 'source_changed' } });
  expect(await daemon.client().tenant('again')).not.toHaveProperty('needs_reimport');

  await importInto(daemon.client(), 'promoted', sourceUrl());
  await work();
  const flushed = parseLsn(String(await value(production.url(), 'select pg_current_wal_flush_lsn()')));
  await waitUntil('it has come', async () => {
    const { source_lsn: source, lag_bytes: lag } = (await stateOf('promoted')) ?? {};
    return source !== undefined && parseLsn(source) >= flushed && lag === 0;
  });
  await daemon.client().createBranch({ name: 'of-promoted', from: 'promoted' });
  await daemon.client().startCompute('of-promoted');
  const { url } = await daemon.client().connectionString('of-promoted', { via: 'socket' });
  for (const digest of digests) {
    expect(await query(url, digest)).toEqual(await query(production.url(), digest));
  }
});

test('a tenant whose store cannot be opened is shown as unavailable, with the reason, until it can', async () => {
  const { id } = await daemon.client().tenant('promoted');
  const [directory, aside] = [join(dataDirectory, 'tenants', id), join(scratch.path, 'aside')];
  await daemon.end('SIGTERM');
  renameSync(directory, aside);
  writeFileSync(directory, 'not a directory');
  daemon = await startDaemon();
  expect((await ctl(dataDirectory, 'tenant', 'list')).stdout).toMatch(/^promoted +unavailable /m);
  expect((await ctl(dataDirectory, 'tenant', 'list')).stdout).toMatch(/^again +active /m);
  const shown = (await ctl(dataDirectory, 'tenant', 'show', 'promoted')).stdout;
  expect(shown).toMatch(/^state +unavailable: .+ \(storage_io\)$/m);
  expect((await ctl(dataDirectory, 'status')).stdout).toMatch(/^unavailable +promoted: ./m);
  expect((await metrics()).get('offshoot_tenant_available{tenant="promoted"}')).toBe(0);
  expect((await metrics()).get('offshoot_tenant_available{tenant="again"}')).toBe(1);
  await daemon.end('SIGTERM');
  rmSync(directory);
  renameSync(aside, directory);
  daemon = await startDaemon();
  expect((await daemon.client().tenant('promoted')).state).toBe('active');
  await daemon.client().startCompute('of-promoted');
});
