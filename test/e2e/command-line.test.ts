import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CommandResult, ctl, runCommand } from '../fixture/command-line.js';
import { DaemonProcess } from '../fixture/daemon-process.js';
import { ScratchDirectory } from '../fixture/scratch-directory.js';
import { waitUntil } from '../fixture/wait-until.js';

const bin = new URL('../../packages/ctl/bin/pageserver-ctl.js', import.meta.url).pathname;
let scratch: ScratchDirectory;
let daemon: DaemonProcess;
let silent: Server;
const sockets = new Set<Socket>();

beforeAll(async () => {
  scratch = new ScratchDirectory('ctl');
  daemon = await DaemonProcess.start(join(scratch.path, 'data'));
  silent = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  }).listen(0, '127.0.0.1');
  await once(silent, 'listening');
});

afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  silent.close();
  await daemon.end();
  scratch[Symbol.dispose]();
});

function silentUrl(): string {
  return `postgres://u:sEcReT@127.0.0.1:${(silent.address() as AddressInfo).port}/d`;
}

/** Starts pageserver-ctl; `ended` tells its output and exit code. */
function begin(...args: string[]): { child: ChildProcess; ended: Promise<CommandResult> } {
  const child = spawn(process.execPath, [bin, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, OFFSHOOT_TOKEN: 'x' },
  });
  const result: CommandResult = { code: null, stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => {
    result.stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    result.stderr += chunk;
  });
  const ended = once(child, 'close').then(([code]) => ({ ...result, code }));
  return { child, ended };
}

describe('wrong usage', () => {
  test.each([
    [['frob']],
    [['tenant', 'frob']],
    [['tenant', 'import', 'x']],
    [['branch', 'create']],
    [['branch', 'list', '--frob']],
    [[]],
  ])('%j: exit code 2, and one JSON document when that is wanted', async (words) => {
    const text = await ctl(daemon.dataDirectory, ...words);
    expect(text).toMatchObject({ code: 2, stdout: '' });
    expect(text.stderr).not.toBe('');
    const json = await ctl(daemon.dataDirectory, ...words, '--json');
    expect(json.code).toBe(2);
    expect(JSON.parse(json.stdout)).toMatchObject({ error: { code: 'wrong_usage' } });
  });

  test.each([
    ['--help'],
    ['tenant import --help'],
    ['branch create --help'],
    ['compute start --help'],
    ['operation --help'],
    ['--json status --help'],
  ])('%s teaches, with exit code 0', async (words) => {
    const { code, stdout } = await ctl(daemon.dataDirectory, ...words.split(' '));
    expect(code).toBe(0);
    expect(stdout).toMatch(/Usage: pageserver-ctl/);
  });
});

describe('no way to the page server', () => {
  const data = (name: string, facts?: string): string => {
    const directory = join(scratch.path, name);
    mkdirSync(directory);
    if (facts !== undefined) writeFileSync(join(directory, 'daemon.json'), facts);
    return directory;
  };

  test.each<[string, () => string, RegExp]>([
    ['a directory that is not there', () => join(scratch.path, 'nowhere'), /no data directory/],
    ['a directory of something else', () => data('empty'), /no page server is running on/],
    ['a damaged record', () => data('damaged', '{'), /not a page server's/],
    ['a record of something else', () => data('other', '[]'), /not a page server's/],
    [
      'a page server without its token',
      () => data('tokenless', JSON.stringify({ api_url: 'http://127.0.0.1:1', pid: process.pid })),
      /token file .* cannot be read/,
    ],
  ])('%s: said, with a next step', async (_what, directory, reason) => {
    const where = directory();
    const { code, stdout, stderr } = await ctl(where, 'status', '--json');
    expect(code).toBe(1);
    expect(stderr).toMatch(reason);
    expect(stderr).toContain(where);
    expect(JSON.parse(stdout)).toMatchObject({
      error: { code: 'no_daemon', agent_action: expect.any(String) },
    });
  });

  test('an address where nothing listens', async () => {
    const { code, stdout } = await begin('--url', 'http://127.0.0.1:1', 'status', '--json').ended;
    expect(code).toBe(1);
    expect(JSON.parse(stdout).error).toMatchObject({
      code: 'no_connection',
      message: expect.stringContaining('127.0.0.1:1'),
    });
  });

  test('something else that listens there', async () => {
    const other = createHttpServer((_request, response) => response.end('<html>')).listen(0, '127.0.0.1');
    await once(other, 'listening');
    const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
    const { code, stderr } = await begin('--url', url, 'status').ended;
    other.close();
    expect(code).toBe(1);
    expect(stderr).toMatch(/something unexpected/);
  });
});

test('Ctrl-C ends a call that takes too long, and says what goes on', async () => {
  const heard: string[] = [];
  const slow = createHttpServer((request) => heard.push(request.url ?? '')).listen(0, '127.0.0.1');
  await once(slow, 'listening');
  const url = `http://127.0.0.1:${(slow.address() as AddressInfo).port}`;
  const { child, ended } = begin('--url', url, 'compute', 'start', 'x', '--json');
  await waitUntil('it asks', () => heard.length === 1);
  child.kill('SIGINT');
  const { code, stdout } = await ended;
  slow.closeAllConnections();
  slow.close();
  expect(code).toBe(1);
  expect(JSON.parse(stdout).error).toMatchObject({
    code: 'interrupted',
    agent_action: expect.stringContaining('goes on'),
  });
});

test('Ctrl-C cancels an import and waits until nothing of it is left', async () => {
  const import_ = begin(
    '--data',
    daemon.dataDirectory,
    '--token-file',
    join(daemon.dataDirectory, 'token'),
    'tenant',
    'import',
    'a',
    '--from',
    silentUrl(),
    '--json',
  );
  await waitUntil('the import runs', async () => (await daemon.client().operations()).length === 1);
  const listed = await ctl(daemon.dataDirectory, 'operation', 'list');
  expect(listed.stdout).toMatch(/tenant_import +a +running/);
  import_.child.kill('SIGINT');
  const { code, stdout, stderr } = await import_.ended;
  expect(code).toBe(1);
  expect(JSON.parse(stdout).error).toMatchObject({ code: 'import_cancelled' });
  expect(stderr).toMatch(/cancelling/);
  expect(stderr).not.toContain('\r');
  expect(`${stdout}${stderr}`).not.toContain('sEcReT');
  expect(await daemon.client().tenants()).toEqual([]);
});

test('an import that nobody watches can be found and cancelled', async () => {
  const { id } = await daemon.client().importTenant({ name: 'b', source_url: silentUrl() });
  expect((await ctl(daemon.dataDirectory, 'operation', 'show', id)).stdout).toMatch(/state +running/);
  const cancelled = await ctl(daemon.dataDirectory, 'operation', 'cancel', id, '--json');
  expect(cancelled.code).toBe(0);
  expect(JSON.parse(cancelled.stdout)).toMatchObject({ id, state: 'cancelled' });
  expect((await ctl(daemon.dataDirectory, 'operation', 'cancel', 'nothing')).code).toBe(1);
});

test('a reader that has seen enough is no mistake of ours', async () => {
  const script = `"$0" "$1" --data "$2" status --json | true`;
  const { stderr } = await runCommand('/bin/sh', ['-c', script, process.execPath, bin, daemon.dataDirectory]);
  expect(stderr).toBe('');
});

test('the computes of a branch that is not there are refused', async () => {
  const { code, stderr } = await ctl(daemon.dataDirectory, 'compute', 'list', 'nowhere');
  expect(code).toBe(1);
  expect(stderr).toMatch(/nowhere does not exist\n {2}look which branches/);
});

describe('completion', () => {
  test('says what can stand next, branches included, and knows nothing where nobody can be asked', async () => {
    const asked = (...words: string[]) => ctl(daemon.dataDirectory, ...words);
    const script = await asked('completion', 'bash');
    expect(script.stdout).toContain('pageserver-ctl');
    expect((await asked('completion', 'tcsh')).code).toBe(2);
    const complete = async (...words: string[]) => {
      const { stdout, code } = await runCommand(process.execPath, [bin, 'complete', '--', ...words]);
      expect(code).toBe(0);
      return stdout;
    };
    expect(await complete('branch', 'cre')).toMatch(/^create\t/);
    expect(await complete('branch', 'create', 'x', '--t')).toContain('--ttl');
    expect(await complete('--data', '/nowhere', 'branch', 'show', '')).toMatch(/^:\d+\n$/);
  });
});
