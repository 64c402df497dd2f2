import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { OffshootClient } from './offshoot-client.js';

let server: Server;
const asked: string[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    response.writeHead(404, { 'content-type': 'application/json' }).end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterAll(() => server.close());

test.each(['', '.', '..'])('%j names nothing, and is not sent', async (name) => {
  const { port } = server.address() as AddressInfo;
  const client = new OffshootClient({ url: `http://127.0.0.1:${port}`, token: 'secret' });
  const refused = expect.objectContaining({ code: 'invalid_argument' });
  for (const call of [
    () => client.deleteBranch(name),
    () => client.branch(name),
    () => client.tenant(name),
    () => client.deleteCheckpoint('b', name),
    () => client.renameBranch(name, 'x'),
    () => client.stopCompute(name),
  ]) {
    await expect((async () => call())()).rejects.toEqual(refused);
  }
  expect(asked).toEqual([]);
});
