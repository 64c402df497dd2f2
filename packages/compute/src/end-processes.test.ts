import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { endProcesses } from './end-processes.js';
import { type RealPostgres, realPostgres } from './fixture/real-postgres.js';

let real: RealPostgres;
beforeAll(async () => {
  real = await realPostgres();
});
afterAll(() => real.remove());

test('a process whose id a left postmaster.pid names is left alone', async () => {
  const dataDirectory = join(real.directory, 'left');
  await mkdir(dataDirectory);
  const stranger = spawn('sleep', ['600'], { cwd: '/' });
  try {
    await once(stranger, 'spawn');
    const lines = [stranger.pid, dataDirectory, 1763700000, 5432, '/run/x', '', '5432001 32780', 'ready', ''];
    await writeFile(join(dataDirectory, 'postmaster.pid'), lines.join('\n'));
    expect(await endProcesses(dataDirectory, real.osUser)).toEqual([]);
    expect(stranger).toMatchObject({ exitCode: null, signalCode: null });
  } finally {
    stranger.kill('SIGKILL');
  }
});

test('processes of a Postgres are found by where they work, whatever its postmaster.pid says', async () => {
  const scratch = await real.create();
  await scratch.start();
  await writeFile(join(scratch.dataDirectory, 'postmaster.pid'), '1\n');
  expect((await endProcesses(scratch.dataDirectory, real.osUser)).length).toBeGreaterThan(1);
  expect(await endProcesses(scratch.dataDirectory, real.osUser)).toEqual([]);
});
