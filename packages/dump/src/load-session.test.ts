import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { LoadSession } from './load-session.js';

function message(type: string, body: Buffer): Buffer {
  const header = Buffer.from(`${type}\0\0\0\0`, 'latin1');
  header.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

const READY = message('Z', Buffer.from('I'));

/** A server that answers every statement with the same. */
async function serve(answer: Buffer) {
  const server = createServer((socket) => {
    socket.once('data', () => {
      socket.write(Buffer.concat([message('R', Buffer.alloc(4)), READY]));
      socket.on('data', (data) => void (data[0] === 'Q'.charCodeAt(0) && socket.write(answer)));
    });
    socket.on('error', () => undefined);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    target: { host: '127.0.0.1', port: (server.address() as AddressInfo).port, user: 'x', password: 'x' },
    [Symbol.asyncDispose]: async () => void server.close(),
  };
}

test('rows are not looked at: one may be longer than a string can be', async () => {
  // Whoever reads this row reads behind its end.
  const row = message('D', Buffer.from([0x7f, 0xff, 0, 0, 0, 99]));
  const done = message('C', Buffer.from('SELECT 1\0'));
  await using server = await serve(Buffer.concat([row, done, READY]));
  const session = await LoadSession.open('x', server.target, new AbortController().signal);
  expect(await session.run('select')).toBe('SELECT 1');
  expect(await session.run('select')).toBe('SELECT 1');
  session.close();
});

test('of an error that does not end there is the beginning', async () => {
  const words = Buffer.from(`SERROR\0VERROR\0CP0001\0M${'x'.repeat(1_000_000)}\0\0`);
  await using server = await serve(Buffer.concat([message('E', words), READY]));
  const session = await LoadSession.open('x', server.target, new AbortController().signal);
  const error = await session.run('select').catch((thrown: unknown) => thrown as Error & { code: string });
  expect(error).toMatchObject({ code: 'P0001', message: expect.stringMatching(/^x{8000,8192}$/) });
  session.close();
});
