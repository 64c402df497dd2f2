import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { afterEach, expect, test, vi } from 'vitest';
import { TakenSocket } from './taken-socket.js';

const sockets: Socket[] = [];

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

/** Ours, as the gateway has it, and the other end. */
async function pair(): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true, highWaterMark: 65_536 });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const far = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [near] = (await once(server, 'connection')) as [Socket];
  server.close();
  sockets.push(near, far);
  near.on('error', () => {});
  return [near.pause(), far];
}

/** Reads on; what has come until now. */
function heard(socket: Socket): () => string {
  let words = '';
  socket.on('data', (chunk) => {
    words += chunk;
  });
  socket.resume();
  return () => words;
}

test('what was read and not delivered comes with it; what comes later stays with the system', async () => {
  const [near, far] = await pair();
  far.write('one');
  // A paused socket reads ahead.
  near.resume().pause();
  await vi.waitFor(() => expect(near.readableLength).toBe(3));
  near.unshift(Buffer.from('zero '));
  const taken = TakenSocket.take(near);
  expect(taken?.unread.toString()).toBe('zero one');
  expect(taken?.fd).toBeGreaterThan(2);
  far.write('two');
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect([near.readableLength, near.bytesRead]).toEqual([0, 3]);
  taken?.giveBack();
  const words = heard(near);
  await vi.waitFor(() => expect(words()).toBe('zero onetwo'));
});

test('an end that was read is heard after it was given back, too', async () => {
  const [near, far] = await pair();
  far.end('last');
  near.resume().pause();
  await vi.waitFor(() => expect(near.readableLength).toBe(4));
  const taken = TakenSocket.take(near);
  expect(taken?.unread.toString()).toBe('last');
  taken?.giveBack();
  const words = heard(near);
  await once(near, 'end');
  expect(words()).toBe('last');
});

test('let go, it is closed', async () => {
  const [near, far] = await pair();
  TakenSocket.take(near)?.letGo();
  await once(far.resume(), 'end');
  expect(near.destroyed).toBe(true);
});

test('one with bytes that wait to be written is left alone', async () => {
  const [near, far] = await pair();
  far.pause();
  while (near.write(Buffer.alloc(1 << 20))) {}
  expect(TakenSocket.take(near)).toBeUndefined();
  expect(near.destroyed).toBe(false);
});

test('one that is gone, or writes no more, is left alone', async () => {
  const [gone] = await pair();
  gone.destroy();
  expect(TakenSocket.take(gone)).toBeUndefined();
  const [ended] = await pair();
  ended.end();
  expect(TakenSocket.take(ended)).toBeUndefined();
});

test('TLS is left alone, and so is what has no descriptor', async () => {
  const [near] = await pair();
  expect(TakenSocket.take(new TLSSocket(near, { isServer: true }))).toBeUndefined();
  const [bare] = await pair();
  const handle = (bare as unknown as { _handle: object })._handle;
  Object.defineProperty(handle, 'fd', { value: -1 });
  expect(TakenSocket.take(bare)).toBeUndefined();
});
