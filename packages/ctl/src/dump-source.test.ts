import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDump } from './dump-source.js';

const { signal } = new AbortController();
let directory: string;
let server: Server;
let url: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'dump-source-'));
  server = createServer((request, response) => {
    if (request.url?.startsWith('/there') !== true) response.writeHead(404);
    response.end('select 1');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.close();
  rmSync(directory, { recursive: true });
});

async function textOf(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of bytes) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

test('a file, and what a URL leads to', async () => {
  const file = join(directory, 'a.sql');
  writeFileSync(file, 'select 2');
  const ofFile = await openDump(file, signal);
  expect([await textOf(ofFile.bytes), ofFile.size]).toEqual(['select 2', 8]);
  const ofUrl = await openDump(`${url}/there`, signal);
  expect([await textOf(ofUrl.bytes)]).toEqual(['select 1']);
});

test.each([
  ['nothing', () => join(directory, 'none'), /cannot be read/, /a file, a URL/],
  ['a directory', () => directory, /is a directory/, /pg_restore -f -/],
  ['a URL that leads nowhere', () => `${url}/none?token=secret`, /answered 404/, /curl/],
  ['a URL at which nobody answers', () => 'http://127.0.0.1:1/x?token=secret', /does not answer/, /curl/],
])('%s says what to do', async (_, named, message, action) => {
  const error = await openDump(named(), signal).catch((refused: Error & { agentAction: string }) => refused);
  expect(error).toMatchObject({
    code: 'dump_unreadable',
    message: expect.stringMatching(message),
    agentAction: expect.stringMatching(action),
  });
  expect(JSON.stringify(error) + (error as Error).message).not.toContain('secret');
});
