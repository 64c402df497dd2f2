import { chmod, mkdtemp } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { type Lsn, parseTenantId, parseTimelineId } from '@offshoot/types';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunningCompute } from './compute-driver.js';
import { archiveOf, itemsOfDataDirectory } from './fixture/archive-of.js';
import { queryOnce, type RealPostgres, realPostgres } from './fixture/real-postgres.js';
import { ScriptedPageService } from './fixture/scripted-page-service.js';
import { FreePorts, freePort, LOOPBACK } from './free-ports.js';
import { LocalComputeDriver, type LocalComputeDriverOptions } from './local-compute-driver.js';

let real: RealPostgres;
let data: string;
let service: ScriptedPageService;
let options: LocalComputeDriverOptions;

beforeAll(async () => {
  real = await realPostgres();
  const scratch = await real.create();
  await scratch.start();
  await queryOnce(
    scratch.connection(),
    `CREATE ROLE by_scram LOGIN PASSWORD 'a secret';
     CREATE ROLE standby LOGIN REPLICATION PASSWORD 'another';
     CREATE ROLE nameless LOGIN;
     CREATE ROLE expired LOGIN PASSWORD 'a secret' VALID UNTIL '2020-01-01';
     CREATE ROLE group_role PASSWORD 'a secret';
     SET password_encryption = md5;
     CREATE ROLE by_md5 LOGIN PASSWORD 'a secret'`,
  );
  await scratch.stop();
  const archive = await archiveOf(await itemsOfDataDirectory(scratch.dataDirectory));
  data = await mkdtemp(join(real.directory, 'data-'));
  await chmod(data, 0o711);
  service = await ScriptedPageService.listen(join(data, 'pages.sock'), { kind: 'serve', archive });
  options = {
    dataDirectory: data,
    installation: real.installation,
    osUser: real.osUser,
    pageService: { kind: 'unix', path: service.path },
    preloadLibrary: join(real.installation.bindir, '../lib/libz.so.1'),
  };
});
afterAll(async () => {
  await service.close();
  await real.remove();
});

function start(driver: LocalComputeDriver): Promise<RunningCompute> {
  return driver.start({
    tenantId: parseTenantId('0123456789abcdef0123456789abcdef'),
    timelineId: parseTimelineId('fedcba9876543210fedcba9876543210'),
    baseLsn: 0x1500000n as Lsn,
    connectAs: [{ user: 'postgres', database: 'postgres' }],
    settings: { sharedBuffersBytes: 16 * 1024 * 1024 },
  });
}

describe('on TCP', () => {
  let driver: LocalComputeDriver;
  let running: RunningCompute;
  const as = (user: string, password?: string) => ({
    host: running.host,
    port: running.port,
    user,
    database: 'postgres',
    ...(password === undefined ? {} : { password }),
  });
  beforeAll(async () => {
    driver = await LocalComputeDriver.open(options);
    running = await start(driver);
  });
  afterAll(() => driver.close());

  test.each([
    ['by_scram', 'a secret'],
    ['by_md5', 'a secret'],
  ])('the role %s logs in with its password', async (user, password) => {
    const rows = await queryOnce(as(user, password), 'SELECT current_user::text AS who');
    expect(rows).toEqual([{ who: user }]);
  });

  test.each<[string, string, string, string]>([
    ['a wrong password', 'by_scram', 'wrong', '28P01'],
    ['a wrong password, md5', 'by_md5', 'wrong', '28P01'],
    ['a role without a password', 'nameless', 'anything', '28P01'],
    ['a password that has run out', 'expired', 'a secret', '28P01'],
    ['a role that does not exist', 'stranger', 'a secret', '28P01'],
    ['a role that may not log in', 'group_role', 'a secret', '28000'],
  ])('%s is refused in the words of Postgres', async (_what, user, password, code) => {
    await expect(queryOnce(as(user, password), 'SELECT 1')).rejects.toMatchObject({ code });
  });

  test('a replication connection asks for the password too, and for the right to replicate', async () => {
    const replicate = (user: string, password: string) =>
      queryOnce({ ...as(user, password), replication: 'true' } as pg.ClientConfig, 'IDENTIFY_SYSTEM');
    expect(await replicate('standby', 'another')).toHaveLength(1);
    await expect(replicate('standby', 'wrong')).rejects.toMatchObject({ code: '28P01' });
    await expect(replicate('by_scram', 'a secret')).rejects.toMatchObject({ code: '42501' });
  });

  test('nobody listens but on the loopback address', async () => {
    const unix = { host: running.socketDirectory, port: running.port, user: 'postgres' };
    await queryOnce(unix, `ALTER SYSTEM SET listen_addresses = '*'`);
    await queryOnce(unix, 'SELECT pg_reload_conf()');
    expect(await queryOnce(unix, 'SHOW listen_addresses')).toEqual([{ listen_addresses: LOOPBACK }]);
    expect(await queryOnce(unix, 'SHOW hba_file')).toEqual([
      { hba_file: join(running.dataDirectory, 'pg_hba.conf') },
    ]);
    const rules = 'SELECT type, database::text, auth_method, error FROM pg_hba_file_rules';
    expect(await queryOnce(unix, rules)).toEqual([
      { type: 'local', database: '{all}', auth_method: 'trust', error: null },
      { type: 'local', database: '{replication}', auth_method: 'trust', error: null },
      { type: 'host', database: '{all}', auth_method: 'md5', error: null },
      { type: 'host', database: '{replication}', auth_method: 'md5', error: null },
    ]);
  });

  test('what goes on is counted, and what we do ourselves is not', async () => {
    const sessions = async () => (await running.activity(AbortSignal.timeout(5000))).sessions;
    await expect.poll(sessions).toBe(0);
    const client = new pg.Client(as('by_scram', 'a secret'));
    const walsender = new pg.Client({ ...as('standby', 'another'), replication: 'true' } as pg.ClientConfig);
    await client.connect();
    await walsender.connect();
    expect(await sessions()).toBe(2);
    await Promise.all([client.end(), walsender.end()]);
    await expect.poll(sessions).toBe(0);
  });

  test('a question about it can be given up', async () => {
    await expect(running.activity(AbortSignal.abort(new Error('no time')))).rejects.toThrow('no time');
  });
});

describe('a port that somebody has taken', () => {
  test('is followed by another', async () => {
    const server = createServer().listen(0, LOOPBACK);
    await new Promise((resolve) => server.once('listening', resolve));
    const taken = (server.address() as AddressInfo).port;
    const free = await freePort();
    const offered = [taken, taken, free];
    const ports = new FreePorts(async () => offered.shift() ?? freePort());
    await using driver = disposable(await LocalComputeDriver.open({ ...options, ports }));
    const running = await start(driver.value);
    expect(offered).toHaveLength(0);
    expect(running.port).not.toBe(taken);
    server.close();
    await driver.value.stop(running.id);
  });

  test('time after time is the reason of a start that fails, and nothing is left', async () => {
    const server = createServer().listen(0, LOOPBACK);
    await new Promise((resolve) => server.once('listening', resolve));
    const taken = (server.address() as AddressInfo).port;
    let looks = 0;
    const ports = new FreePorts(async () => {
      looks += 1;
      return taken;
    }, 0);
    await using driver = disposable(await LocalComputeDriver.open({ ...options, ports }));
    await expect(start(driver.value)).rejects.toMatchObject({
      code: 'compute_start_failed',
      message: expect.stringContaining('could not bind'),
    });
    expect(looks).toBe(5);
    expect(driver.value.list()).toEqual([]);
    server.close();
  });
});

test('who is about to end says so before it has ended', async () => {
  await using driver = disposable(await LocalComputeDriver.open(options));
  const running = await start(driver.value);
  const order: string[] = [];
  void running.ending.then(() => order.push('ending'));
  void running.ended.then(() => order.push('ended'));
  process.kill(running.pid, 'SIGKILL');
  await running.ended;
  expect(order).toEqual(['ending', 'ended']);
});

function disposable(value: LocalComputeDriver) {
  return { value, [Symbol.asyncDispose]: () => value.close() };
}
