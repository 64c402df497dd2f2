import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connectCompute } from './connect-compute.js';
import { gatewayDefaults } from './gateway-settings.js';

let directory: string;
let child: ChildProcess | undefined;
/** Of a client that waits. */
const patient = () => new AbortController().signal;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'connect-compute-'));
});

afterEach(() => {
  child?.kill('SIGKILL');
  child = undefined;
  rmSync(directory, { recursive: true });
});

/** A listener with a short queue that accepts nothing for a while, as a Postgres that is busy. */
async function busy(ms: number): Promise<{ path: string }> {
  const path = join(directory, 's');
  const program = `require('net').createServer().listen({ path: ${JSON.stringify(path)}, backlog: 1 }, () => {
    process.stdout.write('listening');
    setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${ms}), 10);
    setTimeout(() => process.stdout.write('busy'), 0);
  })`;
  child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  if (child.stdout !== null) await once(child.stdout, 'data');
  await new Promise((resolve) => setTimeout(resolve, 200));
  return { path };
}

test('a full queue of connections is waited for', async () => {
  const address = await busy(1000);
  const sockets = await Promise.all(
    Array.from({ length: 20 }, () => connectCompute(address, gatewayDefaults, patient())),
  );
  for (const socket of sockets) {
    expect(socket.readyState).toBe('open');
    socket.destroy();
  }
});

test('but not longer than a connection may take', async () => {
  const address = await busy(60_000);
  const settings = { ...gatewayDefaults, connectTimeoutMs: 100 };
  const outcomes = await Promise.allSettled(
    Array.from({ length: 20 }, () => connectCompute(address, settings, patient())),
  );
  const refused = outcomes.filter(({ status }) => status === 'rejected');
  // Those that found a place in the queue are connected, as far as they can tell.
  expect(refused.length).toBeGreaterThan(10);
  for (const outcome of refused) {
    expect(outcome).toMatchObject({ reason: { code: 'compute_unreachable' } });
  }
  for (const outcome of outcomes) if (outcome.status === 'fulfilled') outcome.value.destroy();
});

test('who does not wait any more is told why', async () => {
  const server = createServer().listen(join(directory, 't'));
  await once(server, 'listening');
  const abort = new AbortController();
  abort.abort(new Error('gone'));
  const connecting = connectCompute({ path: join(directory, 't') }, gatewayDefaults, abort.signal);
  await expect(connecting).rejects.toThrow('gone');
  server.close();
});

test('nobody there', async () => {
  await expect(
    connectCompute({ path: join(directory, 'u') }, gatewayDefaults, patient()),
  ).rejects.toMatchObject({
    code: 'compute_gone',
    message: expect.stringContaining('ENOENT'),
  });
});
