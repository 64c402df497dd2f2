import { chmod, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { baseError, type Lsn, parseTenantId, parseTimelineId } from '@offshoot/types';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ComputeSpec, RunningCompute } from './compute-driver.js';
import { archiveOf, itemsOfDataDirectory } from './fixture/archive-of.js';
import { queryOnce, type RealPostgres, realPostgres } from './fixture/real-postgres.js';
import { ScriptedPageService } from './fixture/scripted-page-service.js';
import { WalsenderClient } from './fixture/walsender-client.js';
import { LocalComputeDriver } from './local-compute-driver.js';
import { postgresProcessesUnder } from './process-table.js';

let real: RealPostgres;
let archive: Buffer;

beforeAll(async () => {
  real = await realPostgres();
  const scratch = await real.create({
    parameters: { fsync: 'off', max_wal_senders: '0', wal_level: 'minimal' },
  });
  await scratch.start();
  const connection = scratch.connection();
  await queryOnce(connection, 'CREATE ROLE plain LOGIN');
  await scratch.stop();
  archive = await archiveOf(await itemsOfDataDirectory(scratch.dataDirectory));
});
afterAll(() => real.remove());

let data: string;
let service: ScriptedPageService;
let driver: LocalComputeDriver;
let wal: WalsenderClient;

beforeEach(async () => {
  data = await mkdtemp(join(real.directory, 'data-'));
  await chmod(data, 0o711);
  service = await ScriptedPageService.listen(join(data, 'pages.sock'), { kind: 'serve', archive });
  driver = await LocalComputeDriver.open({
    dataDirectory: data,
    installation: real.installation,
    osUser: real.osUser,
    pageService: { kind: 'unix', path: service.path },
    preloadLibrary: join(real.installation.bindir, '../lib/libz.so.1'),
    // The fake acknowledges nothing, which a fast stop would wait for.
    limits: { stopTimeoutMs: 500 },
  });
  wal = new WalsenderClient();
});
afterEach(async () => {
  await driver.close();
  await service.close();
  expect(await postgresProcessesUnder(data)).toEqual([]);
});

function start(parts: Partial<ComputeSpec> = {}): Promise<RunningCompute> {
  return driver.start({
    tenantId: parseTenantId('0123456789abcdef0123456789abcdef'),
    timelineId: parseTimelineId('fedcba9876543210fedcba9876543210'),
    baseLsn: 0x1500000n as Lsn,
    connectAs: [{ user: 'postgres', database: 'postgres' }],
    settings: { sharedBuffersBytes: 16 * 1024 * 1024 },
    wal,
    durability: 'async',
    ...parts,
  });
}

const connectionTo = ({ socketDirectory, port }: RunningCompute) => ({
  host: socketDirectory,
  port,
  user: 'postgres',
  database: 'postgres',
});

describe('a compute whose WAL is kept', () => {
  test('is running once it streams, and has ended once all of it is taken in', async () => {
    const running = await start();
    expect(wal.calls).toEqual(['open', 'receive as postgres']);
    const streams = await queryOnce(
      connectionTo(running),
      'SELECT application_name, state FROM pg_stat_replication',
    );
    expect(streams).toEqual([{ application_name: 'offshoot', state: 'streaming' }]);
    await queryOnce(connectionTo(running), 'CREATE TABLE t ()');
    const flushed = await running.flushedLsn(new AbortController().signal);
    const rows = await queryOnce(connectionTo(running), 'SELECT pg_current_wal_flush_lsn() - $$0/0$$ AS at');
    expect(flushed).toBeGreaterThan(0n);
    expect(flushed).toBeLessThanOrEqual(BigInt(rows[0]?.at as string));
    expect(await driver.stop(running.id, 'immediate')).toEqual({
      state: 'stopped',
      reason: 'it was stopped',
    });
    expect(wal.calls.at(-1)).toBe('finish');
  });

  test('for sync, is not running as long as nobody acknowledges', async () => {
    const started = start({ durability: 'sync' });
    started.catch(() => undefined);
    await expect.poll(() => wal.calls.length, { timeout: 30_000 }).toBe(2);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(driver.list()).toMatchObject([{ state: 'starting' }]);
    wal.fail(baseError('internal', 'the disk is full'));
    await expect(started).rejects.toThrow(/the disk is full/);
    expect(wal.calls.at(-1)).toBe('finish');
  });

  test('is received as a role that may, when the first may not', async () => {
    wal.refused = ['plain'];
    const running = await start({ connectAs: [{ user: 'plain', database: 'postgres' }] });
    expect(wal.calls).toEqual(['open', 'receive as plain', 'receive as postgres']);
    expect(running.connectedAs.user).toBe('plain');
  });

  test('does not start when its log cannot be opened', async () => {
    wal.openError = new Error('the log is locked');
    await expect(start()).rejects.toThrow(/the log is locked/);
    expect(wal.calls).toEqual(['open', 'finish']);
  });

  test('is stopped with the reason when its WAL cannot be taken in any more', async () => {
    const running = await start();
    wal.fail(baseError('internal', 'the disk is full'));
    expect(await running.ended).toEqual({
      state: 'crashed',
      reason: 'it was stopped because its WAL cannot be kept: the disk is full',
    });
  });

  test('has crashed, whoever stopped it, when its last WAL is not taken in', async () => {
    const running = await start();
    wal.finishError = new Error('the disk is full');
    expect(await driver.stop(running.id)).toEqual({
      state: 'crashed',
      reason: 'it was stopped; its last WAL is not taken in: the disk is full',
    });
  });

  test('that is killed is finished when no process of it is left', async () => {
    const running = await start();
    let left: number[] | undefined;
    const finish = wal.finish.bind(wal);
    wal.finish = async () => {
      left = await postgresProcessesUnder(running.dataDirectory);
      await finish();
    };
    process.kill(running.pid, 'SIGKILL');
    expect((await running.ended).state).toBe('crashed');
    expect(left).toEqual([]);
  });
});
