import { existsSync } from 'node:fs';
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { type Lsn, parseTenantId, parseTimelineId } from '@offshoot/types';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ComputeSpec, RunningCompute } from './compute-driver.js';
import { computePaths, computePlaces, randomComputeId } from './compute-paths.js';
import { type ArchiveItem, archiveOf, itemsOfDataDirectory } from './fixture/archive-of.js';
import { queryOnce, type RealPostgres, realPostgres } from './fixture/real-postgres.js';
import { type PageServiceScript, ScriptedPageService } from './fixture/scripted-page-service.js';
import { LocalComputeDriver, type LocalComputeDriverOptions } from './local-compute-driver.js';
import { postgresProcessesUnder } from './process-table.js';

/** Roles of the cluster that the scripted page service serves. */
const postgres = { user: 'postgres', database: 'postgres' };

const spec: ComputeSpec = {
  tenantId: parseTenantId('0123456789abcdef0123456789abcdef'),
  timelineId: parseTimelineId('fedcba9876543210fedcba9876543210'),
  baseLsn: 0x1500000n as Lsn,
  connectAs: [postgres],
  settings: { sharedBuffersBytes: 16 * 1024 * 1024 },
};

let real: RealPostgres;
let items: ArchiveItem[];
let archive: Buffer;
/** Nothing that Postgres calls is in it: what is tested here is the driver, with relations in the base backup. */
let harmlessLibrary: string;

beforeAll(async () => {
  real = await realPostgres();
  const scratch = await real.create({ parameters: { fsync: 'off', max_prepared_transactions: '3' } });
  await scratch.start();
  await queryOnce(scratch.connection(), "CREATE TABLE shop AS SELECT 'kept' AS what");
  await scratch.stop();
  items = await itemsOfDataDirectory(scratch.dataDirectory);
  archive = await archiveOf(items);
  harmlessLibrary = join(real.installation.bindir, '../lib/libz.so.1');
});
afterAll(() => real.remove());

let data: string;
let service: ScriptedPageService;
let drivers: LocalComputeDriver[];

beforeEach(async () => {
  data = await mkdtemp(join(real.directory, 'data-'));
  await chmod(data, 0o711);
  service = await ScriptedPageService.listen(join(data, 'pages.sock'), { kind: 'serve', archive });
  drivers = [];
});
afterEach(async () => {
  await Promise.all(drivers.map((driver) => driver.close()));
  await service.close();
  expect(await postgresProcessesUnder(data)).toEqual([]);
});

async function openDriver(options: Partial<LocalComputeDriverOptions> = {}): Promise<LocalComputeDriver> {
  const driver = await LocalComputeDriver.open({
    dataDirectory: data,
    installation: real.installation,
    osUser: real.osUser,
    pageService: { kind: 'unix', path: service.path },
    preloadLibrary: harmlessLibrary,
    ...options,
    // What is made ahead would be taken for something left behind.
    limits: { sparesMax: 0, ...options.limits },
  });
  drivers.push(driver);
  return driver;
}

function connectionTo({ socketDirectory, port, connectedAs }: RunningCompute): pg.ClientConfig {
  return { host: socketDirectory, port, ...connectedAs };
}

/** What is left in the data directory besides ended computes' logs. */
async function leftovers(): Promise<string[]> {
  const computes = await readdir(join(data, 'computes'), { recursive: true });
  const run = await readdir(join(data, 'run'));
  return [...computes.filter((name) => !/^[^/]+(\/log(\/.*)?)?$/.test(name)), ...run];
}

describe('a compute', () => {
  test('answers a query, says how long each phase took, and leaves only its log', async () => {
    const driver = await openDriver();
    const running = await driver.start(spec);
    expect(service.commands).toEqual([
      `basebackup ${spec.tenantId} ${spec.timelineId} 0/1500000 --first-page`,
    ]);
    expect(await queryOnce(connectionTo(running), 'SELECT what FROM shop')).toEqual([{ what: 'kept' }]);
    expect(driver.list()).toMatchObject([{ id: running.id, state: 'running', pid: running.pid }]);
    const { total, ...phases } = running.timings;
    const sum = Object.values(phases).reduce((a, b) => a + b, 0);
    expect(Math.min(...Object.values(phases))).toBeGreaterThan(0);
    expect(sum).toBeLessThanOrEqual(total + 1);

    expect(await driver.stop(running.id)).toEqual({ state: 'stopped', reason: 'it was stopped' });
    expect(await running.ended).toMatchObject({ state: 'stopped' });
    expect(driver.list()).toEqual([]);
    expect(await leftovers()).toEqual([]);
    expect(await readFile(running.logFile, 'utf8')).toContain('ready to accept connections');
    await expect(driver.stop(running.id)).rejects.toMatchObject({ code: 'compute_not_found' });
  });

  test('does not act as production, whatever its files say', async () => {
    const driver = await openDriver();
    const running = await driver.start({ ...spec, settings: { parameters: { work_mem: '5MB' } } });
    const connection = connectionTo(running);
    for (const undo of [
      'archive_mode = on',
      'max_logical_replication_workers = 4',
      "listen_addresses = '*'",
      "hba_file = '/dev/null'",
    ]) {
      await queryOnce(connection, `ALTER SYSTEM SET ${undo}`);
    }
    await queryOnce(connection, 'SELECT pg_reload_conf()');
    const rows = await queryOnce(connection, 'SELECT name, setting FROM pg_settings');
    const settings = Object.fromEntries(rows.map(({ name, setting }) => [name, setting]));
    expect(settings).toMatchObject({
      archive_mode: 'off',
      max_logical_replication_workers: '0',
      listen_addresses: '127.0.0.1',
      ssl: 'off',
      hba_file: join(running.dataDirectory, 'pg_hba.conf'),
      synchronous_standby_names: '',
      restart_after_crash: 'off',
      fsync: 'off',
      full_page_writes: 'off',
      wal_level: 'replica',
      max_prepared_transactions: '3',
      work_mem: '5120',
    });
    expect(await queryOnce(connection, 'SELECT slot_name FROM pg_replication_slots')).toEqual([]);
    await driver.stop(running.id, 'fast');
    expect(await readFile(running.logFile, 'utf8')).toContain('fast shutdown');
  });

  test('tries roles and databases until one can connect', async () => {
    const driver = await openDriver();
    const candidates = [
      { user: 'nobody_here', database: 'postgres' },
      { user: 'postgres', database: 'no_such' },
      { user: 'postgres', database: 'template0' },
      postgres,
    ];
    const running = await driver.start({ ...spec, connectAs: candidates });
    expect(running.connectedAs).toEqual(postgres);
  });

  test('that loses a backend ends, is reported with its log, and another can be started', async () => {
    const driver = await openDriver();
    const running = await driver.start(spec);
    const client = new pg.Client(connectionTo(running));
    client.on('error', () => undefined);
    await client.connect();
    const { rows } = await client.query('SELECT pg_backend_pid() AS pid');
    process.kill(rows[0].pid, 'SIGKILL');
    expect(await running.ended).toMatchObject({
      state: 'crashed',
      reason: expect.stringMatching(/exit status 1.*terminated by signal 9/s),
    });
    expect(driver.list()).toEqual([]);
    expect(await leftovers()).toEqual([]);
    expect((await driver.start(spec)).connectedAs).toEqual(postgres);
  });

  test('whose postmaster is killed leaves no process, not even a busy one', async () => {
    const driver = await openDriver();
    const running = await driver.start(spec);
    const client = new pg.Client(connectionTo(running));
    client.on('error', () => undefined);
    await client.connect();
    client.query('SELECT count(*) FROM generate_series(1, 1e12::bigint)').catch(() => undefined);
    await queryOnce(connectionTo(running), 'SELECT pg_sleep(0.1)');
    process.kill(running.pid, 'SIGKILL');
    expect(await running.ended).toMatchObject({
      state: 'crashed',
      reason: expect.stringContaining('signal SIGKILL'),
    });
    expect(await postgresProcessesUnder(data)).toEqual([]);
    expect(await leftovers()).toEqual([]);
  });

  test('that does not stop by itself is killed', async () => {
    const driver = await openDriver({ limits: { stopTimeoutMs: 200 } });
    const running = await driver.start(spec);
    process.kill(running.pid, 'SIGSTOP');
    expect(await driver.stop(running.id)).toMatchObject({ state: 'stopped' });
    expect(await leftovers()).toEqual([]);
  });

  test('runs from a library and a data directory with spaces in their paths', async () => {
    const spaced = join(data, 'a b');
    await mkdir(spaced, { mode: 0o755 });
    await symlink(harmlessLibrary, join(spaced, 'lib.so'));
    const driver = await openDriver({ dataDirectory: spaced, preloadLibrary: join(spaced, 'lib.so') });
    const running = await driver.start(spec);
    expect(await readFile(`/proc/${running.pid}/maps`, 'utf8')).toContain('libz.so.1');
    expect(await readFile(running.logFile, 'utf8')).not.toContain('cannot be preloaded');
  });

  test('has its socket elsewhere when the data directory’s path is too long', async () => {
    const long = join(data, 'x'.repeat(90));
    await mkdir(long, { mode: 0o755 });
    const driver = await openDriver({ dataDirectory: long });
    const running = await driver.start(spec);
    expect(running.socketDirectory).toContain(`offshoot-${running.id}`);
    expect(running.socketDirectory.startsWith(long)).toBe(false);
    await driver.stop(running.id);
    await expect(readdir(running.socketDirectory)).rejects.toThrow('ENOENT');
  });
});

describe('a start that fails leaves only a log', () => {
  const without = (name: string) => archiveOf(items.filter(({ header }) => header.name !== name));

  test.each<[string, () => Promise<PageServiceScript>, string, string]>([
    ['refused', async () => ({ kind: 'refuse', words: 'no timeline' }), 'base_backup_refused', 'no timeline'],
    ['broken off', async () => ({ kind: 'break off', archive }), 'base_backup_interrupted', 'closed'],
    [
      'without a file that Postgres needs',
      async () => ({ kind: 'serve', archive: await without('PG_VERSION') }),
      'compute_start_failed',
      'is not a valid data directory',
    ],
    [
      'without pg_control',
      async () => ({ kind: 'serve', archive: await without('global/pg_control') }),
      'base_backup_invalid',
      'no global/pg_control',
    ],
    ['silent', async () => ({ kind: 'say nothing' }), 'base_backup_interrupted', 'said nothing for 300 ms'],
  ])('a base backup that is %s', async (what, script, code, words) => {
    service.script = await script();
    const driver = await openDriver({ limits: what === 'silent' ? { baseBackupSilenceMs: 300 } : {} });
    await expect(driver.start(spec)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(words),
      details: { compute: expect.any(String), logFile: expect.any(String) },
    });
    expect(driver.list()).toEqual([]);
    expect(await leftovers()).toEqual([]);
  });

  test('no page service', async () => {
    const driver = await openDriver({ pageService: { kind: 'tcp', host: '127.0.0.1', port: 1 } });
    await expect(driver.start(spec)).rejects.toMatchObject({ code: 'base_backup_interrupted' });
    expect(await leftovers()).toEqual([]);
  });

  test('no role that can connect', async () => {
    const driver = await openDriver();
    const connectAs = [{ user: 'nobody_here', database: 'postgres' }];
    await expect(driver.start({ ...spec, connectAs })).rejects.toMatchObject({
      code: 'compute_start_failed',
      message: expect.stringContaining('role "nobody_here" does not exist'),
    });
    expect(await leftovers()).toEqual([]);
  });

  test('a parameter that Postgres does not take', async () => {
    const driver = await openDriver();
    const settings = { parameters: { shared_preload_libraries: 'no_such_library' } };
    await expect(driver.start({ ...spec, settings })).rejects.toMatchObject({
      code: 'compute_start_failed',
      message: expect.stringContaining('could not access file "no_such_library"'),
    });
    expect(await leftovers()).toEqual([]);
  });

  test('a start that takes too long', async () => {
    service.script = { kind: 'say nothing' };
    const driver = await openDriver({ limits: { startTimeoutMs: 200 } });
    await expect(driver.start(spec)).rejects.toMatchObject({ code: 'compute_start_timeout' });
    expect(await leftovers()).toEqual([]);
  });

  test('one that its caller gives up', async () => {
    service.script = { kind: 'say nothing' };
    const driver = await openDriver();
    await expect(driver.start(spec, AbortSignal.timeout(100))).rejects.toMatchObject({
      code: 'compute_start_cancelled',
    });
    await expect(driver.start(spec, AbortSignal.abort())).rejects.toMatchObject({
      code: 'compute_start_cancelled',
    });
    expect(await leftovers()).toEqual([]);
  });

  test.each([0, 20, 100, 250, 400])('one that is stopped after %i ms', async (delayMs) => {
    const driver = await openDriver();
    const starting = driver.start(spec).then(
      () => 'started',
      (error: { code: string }) => error.code,
    );
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    for (const { id } of driver.list()) {
      await driver.stop(id);
    }
    expect(['started', 'compute_start_cancelled']).toContain(await starting);
    await driver.close();
    expect(await leftovers()).toEqual([]);
  });
});

describe('the driver', () => {
  test('runs no more computes than its limit', async () => {
    const driver = await openDriver({ limits: { computesMax: 1 } });
    const [first, second] = await Promise.allSettled([driver.start(spec), driver.start(spec)]);
    expect([first.status, second.status].sort()).toEqual(['fulfilled', 'rejected']);
    expect(
      first.status === 'rejected' ? first.reason : (second as PromiseRejectedResult).reason,
    ).toMatchObject({ code: 'computes_exhausted' });
  });

  test.each([
    // Sessions in a database leave this file there.
    ['template1', 'base/1/pg_internal.init', true],
    ['no such database', 'base/1/pg_internal.init', false],
  ])(
    'asks first in the database that is wanted, %s, and tells of one that lasts',
    async (wanted, file, there) => {
      const driver = await openDriver();
      const running = await driver.start({ ...spec, firstDatabase: wanted });
      expect(running.connectedAs).toEqual(spec.connectAs[0]);
      expect(existsSync(join(running.dataDirectory, file))).toBe(there);
    },
  );

  test('keeps the logs of the newest ended computes', async () => {
    const driver = await openDriver({ limits: { endedMax: 1 } });
    service.script = { kind: 'refuse', words: 'no' };
    for (let count = 0; count < 3; count += 1) {
      await driver.start(spec).catch(() => undefined);
    }
    await expect.poll(() => readdir(join(data, 'computes'))).toHaveLength(1);
  });

  test('removes with the next that ends what one that ended before has left', async () => {
    const driver = await openDriver();
    const { dataDirectory } = computePaths(computePlaces(data), randomComputeId());
    await mkdir(dataDirectory, { recursive: true });
    await writeFile(join(dataDirectory, 'left'), '');
    service.script = { kind: 'refuse', words: 'no' };
    await driver.start(spec).catch(() => undefined);
    await expect.poll(() => existsSync(dataDirectory)).toBe(false);
  });

  /** Their ids, once so many are complete. */
  async function sparesReady(count: number): Promise<string[]> {
    const ready = async () => {
      const ids = await readdir(join(data, 'computes'));
      // The last file that is made, of those that no compute has taken.
      return ids.filter((id) => existsSync(join(data, 'computes', id, 'pgdata/offshoot/spare/next')));
    };
    await expect.poll(ready, { timeout: 20_000 }).toHaveLength(count);
    return ready();
  }

  test('has directories ready for the next computes, uses them, and leaves none', async () => {
    const driver = await openDriver({ limits: { sparesMax: 2, endedMax: 1 } });
    await driver.sweep();
    const spares = await sparesReady(2);
    const running = await Promise.all([driver.start(spec), driver.start(spec), driver.start(spec)]);
    expect(running.map(({ id }) => id)).toEqual(expect.arrayContaining(spares));
    for (const compute of running) {
      expect(await queryOnce(connectionTo(compute), 'SELECT what FROM shop')).toEqual([{ what: 'kept' }]);
      await driver.stop(compute.id);
    }
    // Logs of ended ones are pruned; what is kept ready is not taken for one.
    await sparesReady(2);
    await expect.poll(async () => (await readdir(join(data, 'computes'))).length).toBe(3);
    await driver.close();
    expect(await leftovers()).toEqual([]);
  });

  test('sweeps away what a former one had ready', async () => {
    const former = await openDriver({ limits: { sparesMax: 1 } });
    await former.sweep();
    await sparesReady(1);
    const next = await openDriver();
    expect((await next.sweep()).removedDirectories).toHaveLength(1);
    expect(await leftovers()).toEqual([]);
  });

  test('starts nothing once it is closed, and stops what runs', async () => {
    const driver = await openDriver();
    const running = await driver.start(spec);
    await driver.close();
    expect(await running.ended).toMatchObject({ state: 'stopped' });
    await expect(driver.start(spec)).rejects.toMatchObject({ code: 'compute_start_cancelled' });
  });

  test('sweeps away what a former one left, and only that', async () => {
    const former = await openDriver();
    const running = await former.start(spec);
    await mkdir(join(data, 'computes', 'precious'));
    await writeFile(join(data, 'computes', 'precious', 'file'), '');
    const next = await openDriver();
    const swept = await next.sweep();
    expect(swept.killedPids).toContain(running.pid);
    expect(swept.removedDirectories).toEqual([running.dataDirectory]);
    expect(await postgresProcessesUnder(data)).toEqual([]);
    expect(await leftovers()).toEqual(['precious/file']);
    expect(await next.sweep()).toEqual({ killedPids: [], removedDirectories: [], left: [] });
  });

  test('says so when the library is missing', async () => {
    const missing = join(data, 'no.so');
    await expect(openDriver({ preloadLibrary: missing })).rejects.toMatchObject({
      code: 'preload_library_missing',
      message: expect.stringContaining(missing),
    });
  });

  test('keeps a log within its limit', async () => {
    const driver = await openDriver({ limits: { logBytesMax: 20_000, logCheckMs: 20 } });
    const running = await driver.start(spec);
    const client = new pg.Client(connectionTo(running));
    await client.connect();
    for (let count = 0; count < 100; count += 1) {
      await client.query(`DO $$ BEGIN RAISE LOG '%', repeat('x', 1000); END $$`);
    }
    await client.end();
    const sizeOf = async (file: string) => (await readFile(file)).length;
    await expect.poll(() => sizeOf(running.logFile)).toBeLessThanOrEqual(20_000);
    expect(await sizeOf(`${running.logFile}.1`)).toBeGreaterThan(0);
    expect(await sizeOf(`${running.logFile}.1`)).toBeLessThanOrEqual(20_000);
    // A hole of any size costs whoever makes it nothing.
    await truncate(running.logFile, 2 ** 42);
    await expect.poll(async () => (await stat(running.logFile)).size).toBeLessThanOrEqual(20_000);
    expect(await sizeOf(`${running.logFile}.1`)).toBe(20_000);
  });
});

// Only root can give its rights up for another user.
describe.runIf(process.getuid?.() === 0)('as root, Postgres runs as another user', () => {
  test('who is the one that was resolved', async () => {
    const driver = await openDriver();
    const { pid } = await driver.start(spec);
    expect(await readFile(`/proc/${pid}/status`, 'utf8')).toMatch(
      new RegExp(`^Uid:\\t${real.osUser.uid}\\t${real.osUser.uid}\\t`, 'm'),
    );
  });

  test('whose way to the data directory may be barred', async () => {
    const home = join(data, 'home');
    await mkdir(join(home, 'data'), { recursive: true });
    await chmod(home, 0o700);
    await expect(openDriver({ dataDirectory: join(home, 'data') })).rejects.toMatchObject({
      code: 'path_unreachable',
      message: expect.stringContaining(`chmod o+x ${home}`),
    });
    await rm(home, { recursive: true });
  });

  test('for whom a library in a home of mode 0700 is copied', async () => {
    const home = join(data, 'home');
    await mkdir(home, { mode: 0o700 });
    await writeFile(join(home, 'lib.so'), await readFile(harmlessLibrary), { mode: 0o600 });
    const driver = await openDriver({ preloadLibrary: join(home, 'lib.so') });
    const running = await driver.start(spec);
    expect(await readFile(`/proc/${running.pid}/maps`, 'utf8')).toMatch(/cache\/file-\w+\/lib\.so/);
    expect(await readFile(running.logFile, 'utf8')).not.toContain('cannot be preloaded');
  });

  test('who must be able to connect to the page service', async () => {
    await chmod(service.path, 0o600);
    const driver = await openDriver();
    await expect(driver.start(spec)).rejects.toMatchObject({
      code: 'path_unreachable',
      message: expect.stringContaining(service.path),
    });
  });
});
