import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startProgram } from './started-program.js';

let directory: string;
let output: number;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'offshoot-program-'));
  output = openSync(join(directory, 'output'), 'a');
});
afterEach(async () => {
  closeSync(output);
  await rm(directory, { recursive: true, force: true });
});

const sh = (script: string) =>
  startProgram({
    path: '/bin/sh',
    arguments: ['-c', script],
    environment: { WORD: 'a "b"' },
    workingDirectory: directory,
    output,
  });

test('it runs in its place with its environment, and its end is told', async () => {
  const program = await sh('echo "$WORD $PPID"; pwd; exit 3');
  expect(await program.ended).toEqual({ code: 3, signal: null });
  const lines = (await readFile(join(directory, 'output'), 'utf8')).split('\n');
  expect(lines[0]).toBe(`a "b" ${process.pid}`);
  expect(lines[1]).toBe(directory);
});

test('it is there under its id until it has ended', async () => {
  const program = await sh('exec sleep 1000');
  process.kill(program.pid, 'SIGTERM');
  expect(await program.ended).toEqual({ code: null, signal: 'SIGTERM' });
  expect(() => process.kill(program.pid, 0)).toThrow('ESRCH');
});

test('what cannot be started says why', async () => {
  const options = { arguments: [], environment: {}, output };
  const starts = [
    { path: join(directory, 'none'), workingDirectory: directory },
    { path: '/bin/sh', workingDirectory: join(directory, 'none') },
  ];
  for (const start of starts) {
    await expect(startProgram({ ...options, ...start })).rejects.toMatchObject({
      code: 'program_not_started',
      message: expect.stringContaining('No such file or directory'),
    });
  }
});
