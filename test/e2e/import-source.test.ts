import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type ImportProgress, type OpenTimeline, PageServer } from '@offshoot/pageserver';
import { LSN_MAX, parseBranchName, parseTenantName } from '@offshoot/types';
import { BLCKSZ, pagestreamRequestFrame, type RelationFork } from '@offshoot/wire';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Production } from '../fixture/production.js';
import { query, value } from '../fixture/query.js';
import { ScratchDirectory } from '../fixture/scratch-directory.js';

const scratch = new ScratchDirectory('import');
let production: Production;
let serial = 0;

const freshData = () => join(scratch.path, `data-${serial++}`);
const open = (dataDir = freshData()) => PageServer.open({ dataDir });
const shop = parseTenantName('shop');
const shopBranch = parseBranchName('shop');

beforeAll(async () => {
  production = await Production.start(join(scratch.path, 'production'), {
    // Password authentication with SCRAM, over TCP; segments that WAL fills quickly.
    listen: 'loopback',
    initdbArgs: ['--wal-segsize=1'],
    parameters: { max_prepared_transactions: '5', fsync: 'off' },
  });
  for (const name of ['fast', 'slow']) {
    mkdirSync(join(scratch.path, name));
    production.own(join(scratch.path, name));
    await query(production.url(), `CREATE TABLESPACE ${name} LOCATION '${join(scratch.path, name)}'`);
  }
  await query(production.url(), 'CREATE DATABASE quiet', 'CREATE DATABASE busy');
  await query(
    production.url('quiet'),
    `CREATE TABLE customers AS SELECT i AS id, md5(i::text) AS name FROM generate_series(1, 50000) i`,
    'ALTER TABLE customers ADD PRIMARY KEY (id)',
    'CREATE TABLE orders TABLESPACE fast AS SELECT i, repeat(md5(i::text), 80) AS note FROM generate_series(1, 3000) i',
    'CREATE INDEX ON orders USING gin (to_tsvector($$english$$, note)) TABLESPACE slow',
    'CREATE UNLOGGED TABLE sessions AS SELECT generate_series(1, 1000) AS i',
    'CREATE TABLE empty (i int)',
    'VACUUM (FREEZE)',
  );
  await query(
    production.url('busy'),
    'CREATE TABLE ledger (id serial PRIMARY KEY, amount int, note text)',
    'BEGIN',
    "INSERT INTO ledger (amount) VALUES (1); PREPARE TRANSACTION 'transfer'",
  );
  await query(production.url(), 'CHECKPOINT');
});

afterAll(async () => {
  await production?.stop();
  scratch[Symbol.dispose]();
});

/** Writes into `busy` until its scope ends. */
async function writing(): Promise<AsyncDisposable> {
  let stop = false;
  const work = async (writer: number) => {
    const client = new pg.Client({ connectionString: production.url('busy') });
    await client.connect();
    while (!stop) {
      await client.query(
        'INSERT INTO ledger (amount, note) SELECT i, md5(i::text) FROM generate_series(1, 200) i',
      );
      await client.query(`UPDATE ledger SET amount = amount + 1 WHERE id % 7 = ${writer}`);
    }
    await client.end();
  };
  const running = [work(1), work(2)];
  return {
    async [Symbol.asyncDispose]() {
      stop = true;
      await Promise.all(running);
    },
  };
}

/** The relation forks in one of the source's database directories, with their bytes. */
function forksIn(directory: string, spcnode: number, dbnode: number): Map<RelationFork, Buffer> {
  const forks = new Map<RelationFork, Buffer>();
  for (const name of readdirSync(directory)) {
    const [, relnode, suffix = ''] = /^(\d+)(_fsm|_vm|_init)?$/.exec(name) ?? [];
    if (relnode !== undefined) {
      const fork = ['', '_fsm', '_vm', '_init'].indexOf(suffix);
      forks.set({ spcnode, dbnode, relnode: Number(relnode), fork }, readFileSync(join(directory, name)));
    }
  }
  return forks;
}

/** Every block of a fork, as GetPage answers it. */
async function served(timeline: OpenTimeline, rel: RelationFork, blocks: number): Promise<Buffer> {
  const header = { requestLsn: LSN_MAX, notModifiedSince: timeline.lastRecordLsn() };
  const pages: Buffer[] = [];
  for (let block = 0; block < blocks; block++) {
    const frame = pagestreamRequestFrame(2, header, { kind: 'GetPage', rel, block });
    const { reply } = await timeline.pages(2, frame);
    expect(reply.toString('latin1', 6, Math.min(reply.length, 200))).not.toMatch(/does not exist/);
    pages.push(reply.subarray(6));
  }
  return Buffer.concat(pages);
}

/** The tar from which a compute starts, as text. */
async function archived(timeline: OpenTimeline): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of await timeline.baseBackup({
    kind: 'base',
    wal: 'first-page',
    startAs: 'primary',
  })) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('latin1');
}

async function databaseOid(name: string): Promise<number> {
  return Number(await value(production.url(), `SELECT oid FROM pg_database WHERE datname = '${name}'`));
}

async function tablespaceOids(): Promise<number[]> {
  const rows = await query<{ oid: number }>(
    production.url(),
    'SELECT oid FROM pg_tablespace WHERE oid > 16383',
  );
  return rows.map(({ oid }) => Number(oid));
}

/** Compares what is served with the source's files of the database that nobody changes. */
async function expectQuietServed(timeline: OpenTimeline): Promise<void> {
  const dbnode = await databaseOid('quiet');
  const places: [number, string][] = [[1663, join(production.dataDirectory, 'base', String(dbnode))]];
  for (const oid of await tablespaceOids()) {
    const version = join(production.dataDirectory, 'pg_tblspc', String(oid), 'PG_15_202209061');
    places.push([oid, join(version, String(dbnode))]);
  }
  let compared = 0;
  for (const [spcnode, directory] of places) {
    const forks = forksIn(directory, spcnode, dbnode);
    const listing = await timeline.relations(spcnode, dbnode, timeline.lastRecordLsn());
    const sizes = new Map<string, number>();
    for (let at = 0; at < listing.length; at += 13) {
      sizes.set(`${listing.readUInt32BE(at)}_${listing[at + 4]}`, listing.readUInt32BE(at + 5));
    }
    const unlogged = new Set(
      [...forks.keys()].filter(({ fork }) => fork === 3).map(({ relnode }) => relnode),
    );
    for (const [rel, bytes] of forks) {
      if (unlogged.has(rel.relnode) && rel.fork !== 3) {
        continue;
      }
      const name = `${spcnode}/${dbnode}/${rel.relnode} fork ${rel.fork}`;
      expect([name, sizes.get(`${rel.relnode}_${rel.fork}`)]).toEqual([name, bytes.length / BLCKSZ]);
      expect((await served(timeline, rel, bytes.length / BLCKSZ)).equals(bytes), name).toBe(true);
      compared += bytes.length / BLCKSZ;
    }
  }
  expect(compared).toBeGreaterThan(1500);
}

describe('importing a running Postgres', () => {
  test('brings in every page of it, while it is written to', async () => {
    await using server = { page: await open(), [Symbol.asyncDispose]: () => server.page.close() };
    const told: ImportProgress[] = [];
    await using _writers = await writing();
    const { tenant, root } = await server.page.importTenant({
      name: shop,
      url: production.url(),
      onProgress: (progress) => told.push(progress),
    });
    expect(tenant).toMatchObject({
      state: 'active',
      pgMajor: 15,
      walSegmentBytes: 1024 * 1024,
      dataChecksums: 'on',
      defaultUser: 'postgres',
      defaultDatabase: 'postgres',
      databases: ['busy', 'postgres', 'quiet'],
    });
    expect(tenant.source.url).not.toContain(new URL(production.url()).password);
    const { startLsn, endLsn, walRecords } = tenant.importStats ?? {};
    expect(endLsn).toBeGreaterThan(startLsn as bigint);
    expect(walRecords).toBeGreaterThan(100);
    expect(root.timeline.lastRecordLsn).toBe(endLsn);
    const last = told.at(-1);
    expect(last).toMatchObject({ phase: 'done', walLsn: endLsn });
    expect(last?.pages).toBeGreaterThan(1500);
    await expectQuietServed(server.page.timelineOfBranch(shopBranch));
    const backup = await archived(server.page.timelineOfBranch(shopBranch));
    expect(backup).toMatch(/pg_twophase\/[0-9A-F]{8}\0/);
    for (const oid of await tablespaceOids()) {
      expect(backup).toContain(`pg_tblspc/${oid}/`);
    }
    await server.page.createBranch(parseBranchName('fix'), shopBranch);
    await expectQuietServed(server.page.timelineOfBranch(parseBranchName('fix')));
  });

  test('is as it was after a restart, and goes with all its files', async () => {
    const dataDir = freshData();
    const first = await open(dataDir);
    await first.importTenant({ name: shop, url: production.url() });
    const fix = parseBranchName('fix');
    await first.createBranch(fix, shopBranch);
    await expect(open(dataDir)).rejects.toMatchObject({ code: 'directory_locked' });
    await first.close();
    await first.close();
    const second = await open(dataDir);
    await expectQuietServed(second.timelineOfBranch(fix));
    await expect(second.importTenant({ name: shop, url: production.url() })).rejects.toMatchObject({
      code: 'name_taken',
    });
    await expect(second.deleteBranch(shopBranch)).rejects.toMatchObject({ code: 'branch_has_children' });
    const { tenant, timeline } = second.catalog.branchNamed(fix);
    await second.deleteBranch(fix);
    await expect(second.timeline(tenant, timeline)).rejects.toMatchObject({ code: 'timeline_not_found' });
    await second.deleteTenant(shop);
    expect(readdirSync(join(dataDir, 'tenants'))).toEqual([]);
    expect(second.catalog.tenants()).toEqual([]);
    await second.close();
  });

  test('cancelled, leaves nothing here and nothing there, and can be repeated', async () => {
    const dataDir = freshData();
    const before = await slots();
    const server = await open(dataDir);
    const abort = new AbortController();
    const onProgress = ({ phase }: ImportProgress) => phase === 'base_backup' && abort.abort();
    const cancelled = server.importTenant({
      name: shop,
      url: production.url(),
      signal: abort.signal,
      onProgress,
    });
    await expect(cancelled).rejects.toMatchObject({ code: 'import_cancelled' });
    expect(readdirSync(join(dataDir, 'tenants'))).toEqual([]);
    expect(server.catalog.tenants()).toEqual([]);
    expect(await slots()).toBe(before);
    await server.importTenant({ name: shop, url: production.url() });
    await expectQuietServed(server.timelineOfBranch(shopBranch));
    await server.close();
  });

  test('killed at any moment, is swept at the next start', async () => {
    const dataDir = freshData();
    const before = await slots();
    for (const phase of ['connect', 'base_backup', 'wal', 'finish']) {
      await killedImport(dataDir, phase);
      const server = await open(dataDir);
      expect(server.catalog.tenants()).toEqual([]);
      expect(server.catalog.branches()).toEqual([]);
      expect(readdirSync(join(dataDir, 'tenants'))).toEqual([]);
      await server.close();
      expect(await slots()).toBe(before);
    }
    const server = await open(dataDir);
    await server.importTenant({ name: shop, url: production.url() });
    await expectQuietServed(server.timelineOfBranch(shopBranch));
    await server.close();
  });

  test('says what is wrong with the user, and how to mend it', async () => {
    await query(production.url(), "CREATE ROLE reader LOGIN PASSWORD 'reader'");
    const server = await open();
    const as = (user: string, password: string) =>
      Object.assign(new URL(production.url()), { username: user, password }).href;
    const importAs = (user: string, password: string) =>
      server.importTenant({ name: shop, url: as(user, password) });
    const denied = { code: 'source_access_denied', kind: 'fix' };
    await expect(importAs('reader', 'reader')).rejects.toMatchObject({
      ...denied,
      message: expect.stringContaining('ALTER ROLE name REPLICATION'),
    });
    await expect(importAs('reader', 'wrong')).rejects.toMatchObject({
      ...denied,
      message: expect.stringContaining('.pgpass'),
    });
    await query(production.url(), 'ALTER ROLE reader REPLICATION');
    const { tenant } = await importAs('reader', 'reader');
    expect(tenant.state).toBe('active');
    await server.close();
  });
});

/** Tenants that are there have one each. */
function slots(): Promise<unknown> {
  return value(production.url(), 'SELECT count(*)::int FROM pg_replication_slots');
}

/** Imports in a process of its own, which is killed as soon as it says that it is in `phase`. */
async function killedImport(dataDir: string, phase: string): Promise<void> {
  const script = `
    import { writeSync } from 'node:fs';
    import { PageServer } from '@offshoot/pageserver';
    const [dataDir, url] = process.argv.slice(-2);
    const server = await PageServer.open({ dataDir });
    const onProgress = ({ phase }) => writeSync(1, phase + '\\n');
    await server.importTenant({ name: 'shop', url, onProgress });
    setInterval(() => {}, 1000);
  `;
  const cwd = new URL('..', import.meta.url).pathname;
  const args = ['--input-type=module', '-e', script, dataDir, production.url()];
  const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line === phase) {
      child.kill('SIGKILL');
    }
  });
  const [, signal] = await once(child, 'exit');
  expect(signal).toBe('SIGKILL');
}
