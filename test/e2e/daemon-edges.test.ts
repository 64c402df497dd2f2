import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { pageServerDefaults } from '@offshoot/pageserver';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ctl } from '../fixture/command-line.js';
import { DaemonProcess } from '../fixture/daemon-process.js';
import { ScratchDirectory } from '../fixture/scratch-directory.js';
import { waitUntil } from '../fixture/wait-until.js';

const bin = new URL('../../packages/server/bin/pageserver.js', import.meta.url).pathname;
let scratch: ScratchDirectory;
let silent: Server;
const sockets = new Set<Socket>();
let serial = 0;

beforeAll(async () => {
  scratch = new ScratchDirectory('edges');
  silent = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  }).listen(0, '127.0.0.1');
  await once(silent, 'listening');
});

afterAll(() => {
  for (const socket of sockets) socket.destroy();
  silent.close();
  scratch[Symbol.dispose]();
});

function freshData(): string {
  serial += 1;
  return join(scratch.path, `data-${serial}`);
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  await exit;
}

function fileAt(path: string): string[] {
  writeFileSync(path, '');
  return [];
}

/** A source that takes connections and says nothing: an import from it goes on until it is cancelled. */
function silentUrl(): string {
  const address = silent.address();
  return `postgres://u:sEcReT@127.0.0.1:${typeof address === 'object' ? address?.port : 0}/d`;
}

test('the token is for its owner alone, even if somebody made it readable', async () => {
  const data = freshData();
  const first = await DaemonProcess.start(data);
  const { token } = first;
  expect(statSync(join(data, 'token')).mode & 0o777).toBe(0o600);
  await first.end();
  chmodSync(join(data, 'token'), 0o644);
  const second = await DaemonProcess.start(data);
  expect(second.token).toBe(token);
  expect(statSync(join(data, 'token')).mode & 0o777).toBe(0o600);
  await second.end();
});

test('SIGTERM ends an import from a silent source at once, and what watches it is told', async () => {
  const daemon = await DaemonProcess.start(freshData());
  const watching = ctl(daemon.dataDirectory, 'tenant', 'import', 'a', '--from', silentUrl(), '--json');
  await waitUntil('the import runs', async () => (await daemon.client().operations()).length === 1);
  const began = Date.now();
  expect(await daemon.end('SIGTERM')).toBe(0);
  // It does not wait until the source's time for an answer is over.
  expect(Date.now() - began).toBeLessThan(pageServerDefaults.import.connectTimeoutMs);
  const { code, stdout, stderr } = await watching;
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toHaveProperty('error.code');
  expect(`${stdout}${stderr}${daemon.log}`).not.toContain('sEcReT');
  expect(existsSync(join(daemon.dataDirectory, 'daemon.json'))).toBe(false);
});

test('a second signal ends the daemon without ceremony', async () => {
  const daemon = await DaemonProcess.start(freshData());
  const exit = once(daemon.child, 'exit');
  daemon.child.kill('SIGTERM');
  daemon.child.kill('SIGINT');
  // Either the first was through already, or the second cut it short.
  const [code] = await exit;
  expect([0, 130, 143]).toContain(code);
});

test.skipIf(!existsSync('/dev/full'))(
  'a log and a terminal that take no more do not end the daemon',
  async () => {
    const data = freshData();
    const full = openSync('/dev/full', 'w');
    const child = spawn(process.execPath, [bin, 'start', '--data', data, '--log-level', 'debug'], {
      stdio: ['ignore', full, full],
    });
    try {
      await waitUntil('it is ready', () => existsSync(join(data, 'daemon.json')));
      await waitUntil('it answers', async () => (await ctl(data, 'status')).code === 0);
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(child.exitCode).toBeNull();
    } finally {
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      await exit;
    }
    expect(child.exitCode).toBe(0);
  },
);

test('a reader of the output that goes away does not end the daemon', async () => {
  const data = freshData();
  const child = spawn(process.execPath, [bin, 'start', '--data', data], { stdio: 'pipe' });
  child.stdout.destroy();
  child.stderr.destroy();
  try {
    await waitUntil('it is ready', () => existsSync(join(data, 'daemon.json')));
    expect((await ctl(data, 'status')).code).toBe(0);
  } finally {
    await ended(child);
  }
  expect(child.exitCode).toBe(0);
});

test.each<[string, (data: string) => string[], RegExp]>([
  ['a file', fileAt, /cannot be made|not a directory/],
  ['an address in use', () => ['--api-listen', `127.0.0.1:${new URL(silentUrl()).port}`], /EADDRINUSE/],
  ['an address of others', () => ['--api-listen', '0.0.0.0:0'], /--api-tls-cert/],
  ['no Postgres', () => ['--pg-bindir', '/nowhere'], /nowhere/],
])('%s: refused, with a reason and nothing left running', async (_what, prepare, reason) => {
  const data = freshData();
  await expect(DaemonProcess.start(data, prepare(data))).rejects.toThrow(reason);
});

test('pageserver-ctl says that the daemon of the directory is gone, and does not offer the token to others', async () => {
  const data = freshData();
  const daemon = await DaemonProcess.start(data);
  const { api_url } = daemon.facts;
  await daemon.end('SIGKILL');
  expect(readFileSync(join(data, 'daemon.json'), 'utf8')).toContain(api_url);
  let heard = '';
  const stranger = createServer((socket) => {
    socket.on('data', (chunk) => {
      heard += chunk;
    });
  }).listen(Number(new URL(api_url).port), '127.0.0.1');
  await once(stranger, 'listening');
  try {
    const result = await ctl(data, 'status', '--json');
    expect(result.code).toBe(1);
    expect(JSON.parse(result.stdout).error).toMatchObject({
      code: 'no_daemon',
      agent_action: expect.stringContaining('pageserver start --data'),
    });
    expect(result.stderr).toMatch(/not running any more/);
    expect(heard).toBe('');
  } finally {
    stranger.close();
  }
});
