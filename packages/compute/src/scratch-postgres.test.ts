import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstat, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { queryOnce, type RealPostgres, realPostgres } from './fixture/real-postgres.js';
import { spawnAs } from './os-user.js';
import { readPostmasterPid } from './postmaster-pid.js';
import { postgresProcessesUnder } from './process-table.js';

describe('a scratch Postgres', () => {
  let real: RealPostgres;
  beforeAll(async () => {
    real = await realPostgres();
  });
  afterAll(() => real.remove());

  test('starts with its settings, keeps its data, and leaves nothing running', async () => {
    const scratch = await real.create({
      parameters: { work_mem: '3MB', fsync: 'off' },
      dataChecksums: 'on',
      initdbArgs: ['--wal-segsize=1'],
    });
    await scratch.start();
    await scratch.start();
    const settings = "SELECT name || '=' || setting AS s FROM pg_settings WHERE name IN ";
    const names = "('work_mem', 'data_checksums', 'wal_segment_size', 'listen_addresses') ORDER BY 1";
    expect((await queryOnce(scratch.connection(), settings + names)).map(({ s }) => s)).toEqual([
      'data_checksums=on',
      'listen_addresses=',
      'wal_segment_size=1048576',
      'work_mem=3072',
    ]);
    await queryOnce(scratch.connection(), 'CREATE TABLE kept AS SELECT 1 AS one');
    await scratch.stop();
    expect(await postgresProcessesUnder(scratch.dataDirectory)).toEqual([]);
    await expect(lstat(scratch.socketDirectory)).rejects.toThrow('ENOENT');
    await scratch.start();
    expect(await queryOnce({ connectionString: scratch.url() }, 'SELECT one FROM kept')).toEqual([
      { one: 1 },
    ]);
    await scratch.stop('immediate');
    expect(await postgresProcessesUnder(scratch.dataDirectory)).toEqual([]);
  });

  test('listens on loopback with a password, for replication too', async () => {
    const scratch = await real.create({ listen: 'loopback' });
    await scratch.start();
    expect(scratch.connection().host).toBe('127.0.0.1');
    expect(await queryOnce({ connectionString: scratch.url() }, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    const wrong = { ...scratch.connection(), password: 'wrong' };
    await expect(queryOnce(wrong, 'SELECT 1')).rejects.toThrow('password authentication failed');
    const replication = { ...scratch.connection(), replication: 'true' };
    expect(await queryOnce(replication, 'IDENTIFY_SYSTEM')).toHaveLength(1);
    await scratch.stop();
  });

  test('starts after a kill of its Postgres, whatever process has its id by now', async () => {
    const scratch = await real.create();
    await scratch.start();
    await queryOnce(scratch.connection(), 'CREATE TABLE kept AS SELECT 1 AS one');
    const file = join(scratch.dataDirectory, 'postmaster.pid');
    const { pid } = (await readPostmasterPid(scratch.dataDirectory)) ?? {};
    process.kill(Number(pid), 'SIGKILL');
    for (let look = 0; look < 250 && (await postgresProcessesUnder(scratch.dataDirectory)).length > 0; ) {
      await sleep(20);
      look += 1;
    }
    const stranger = spawn('sleep', ['600'], { ...spawnAs(scratch.osUser), cwd: '/' });
    try {
      await once(stranger, 'spawn');
      const left = await readFile(file, 'utf8');
      expect(left).toMatch(/ready/);
      await writeFile(file, left.replace(String(pid), String(stranger.pid)));
      await scratch.start();
      expect(await queryOnce(scratch.connection(), 'SELECT one FROM kept')).toEqual([{ one: 1 }]);
      await scratch.stop('immediate');
      expect(stranger).toMatchObject({ exitCode: null, signalCode: null });
    } finally {
      stranger.kill('SIGKILL');
    }
  });

  test('a start that fails signals no stranger', async () => {
    const scratch = await real.create({ parameters: { shared_buffers: 'nonsense' } });
    const stranger = spawn('sleep', ['600'], { cwd: '/' });
    try {
      await once(stranger, 'spawn');
      const text = [stranger.pid, scratch.dataDirectory, 1, 5432, '', '', '1 1', 'ready', ''].join('\n');
      await writeFile(join(scratch.dataDirectory, 'postmaster.pid'), text);
      await expect(scratch.start()).rejects.toThrow('invalid value for parameter "shared_buffers"');
      expect(stranger).toMatchObject({ exitCode: null, signalCode: null });
    } finally {
      stranger.kill('SIGKILL');
    }
  });

  test('says why it does not start', async () => {
    const scratch = await real.create({ parameters: { shared_buffers: 'nonsense' } });
    await expect(scratch.start()).rejects.toMatchObject({
      code: 'scratch_postgres_failed',
      message: expect.stringContaining('invalid value for parameter "shared_buffers"'),
    });
  });

  test('ends when the process that started it is killed', async () => {
    const directory = join(real.directory, 'orphan');
    const compute = new URL('../dist/index.js', import.meta.url).href;
    const program = `
      const { resolvePostgres, ScratchPostgres } = await import(${JSON.stringify(compute)});
      const installation = await resolvePostgres({ cacheDirectory: ${JSON.stringify(real.directory)} });
      const scratch = await ScratchPostgres.create({ directory: ${JSON.stringify(directory)}, installation });
      await scratch.start();
      process.kill(process.pid, 'SIGKILL');
    `;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'inherit' });
    const [, signal] = await once(child, 'exit');
    expect(signal).toBe('SIGKILL');
    const isLeft = async () => (await postgresProcessesUnder(directory)).length > 0;
    for (let look = 0; look < 250 && (await isLeft()); look += 1) {
      await sleep(20);
    }
    expect(await isLeft()).toBe(false);
  });
});
