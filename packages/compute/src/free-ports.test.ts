import { connect, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { FreePorts, freePort, isPortTaken, LOOPBACK } from './free-ports.js';

test('a free port can be listened on, and nobody listens there', async () => {
  const port = await freePort();
  const refused = await new Promise((resolve) => {
    connect(port, LOOPBACK).once('error', (error) => resolve(error.message));
  });
  expect(refused).toContain('ECONNREFUSED');
  const server = createServer().listen(port, LOOPBACK);
  await new Promise((resolve) => server.once('listening', resolve));
  server.close();
});

test('a port is given out again only after so many others', async () => {
  const offered = [1, 1, 2, 1, 2, 3, 1];
  const ports = new FreePorts(async () => offered.shift() ?? 0, 2);
  const taken = [await ports.take(), await ports.take(), await ports.take(), await ports.take()];
  expect(taken).toEqual([1, 2, 3, 1]);
});

test('where there is no other the port is given out all the same', async () => {
  const ports = new FreePorts(async () => 7);
  expect([await ports.take(), await ports.take()]).toEqual([7, 7]);
});

test('the words of Postgres for a port that is taken', () => {
  const log = 'LOG:  could not bind IPv4 address "127.0.0.1": Address already in use';
  expect(isPortTaken(new Error(`Postgres ended with exit status 1:\n${log}`))).toBe(true);
  expect(isPortTaken(new Error('FATAL:  out of memory'))).toBe(false);
});
