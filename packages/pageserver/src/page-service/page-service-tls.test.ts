import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { LSN_MAX, type Lsn } from '@offshoot/types';
import { pagestreamRequestFrame } from '@offshoot/wire';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { PageService } from './page-service.js';
import { FakePageSource, TENANT, TIMELINE } from './testing/fake-page-source.js';
import {
  connectOptions,
  errorOf,
  query,
  RawClient,
  SSL_REQUEST,
  STARTUP,
  typesOf,
} from './testing/raw-client.js';
import { TEST_CERTIFICATE, TEST_KEY } from './testing/test-certificate.js';

let service: PageService;
let where: { host: string; port: number };
const sockets: Socket[] = [];

beforeEach(async () => {
  const tls = { key: TEST_KEY, cert: TEST_CERTIFICATE };
  service = await PageService.start({
    source: new FakePageSource(),
    listeners: [{ kind: 'tcp', host: '127.0.0.1', port: 0, auth: 'trust', tls }],
    settings: { closeLingerMs: 200, handshakeTimeoutMs: 1000 },
  });
  where = connectOptions(service.addresses[0] ?? 'unix:') as { host: string; port: number };
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) {
    socket.destroy();
  }
  await service.close();
});

function plain(): Socket {
  const socket = connect(where);
  sockets.push(socket);
  return socket;
}

async function asked(): Promise<Socket> {
  const socket = plain();
  socket.write(SSL_REQUEST);
  const [answer] = await new Promise<[Buffer]>((resolve) =>
    socket.once('data', (chunk: Buffer) => resolve([chunk])),
  );
  expect(answer.toString()).toBe('S');
  return socket;
}

async function secured(ways: 'asked' | 'direct', ALPNProtocols?: string[]): Promise<RawClient> {
  const base = ways === 'asked' ? { socket: await asked() } : where;
  const alpn = ALPNProtocols ? { ALPNProtocols } : {};
  const socket = connectTls({ ...base, ...alpn, rejectUnauthorized: false });
  sockets.push(socket);
  await new Promise((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
  });
  return new RawClient(socket);
}

test.each([
  ['asked', undefined],
  ['direct', undefined],
  ['direct', ['postgresql']],
] as const)('pages over TLS, %s, protocols %j', async (way, protocols) => {
  const client = await secured(way, protocols && [...protocols]);
  client.send(STARTUP);
  expect(typesOf(await client.until('Z'))).toBe('RSSSZ');
  client.send(query(`pagestream_v3 ${TENANT} ${TIMELINE}`));
  await client.until('W');
  const rel = { spcnode: 1663, dbnode: 5, relnode: 16384, fork: 0 };
  const header = { requestLsn: LSN_MAX, notModifiedSince: 1n as Lsn };
  const count = 2000;
  client.send(
    ...Array.from({ length: count }, (_, block) =>
      pagestreamRequestFrame(3, header, { kind: 'GetPage', rel, block }),
    ),
  );
  for (let block = 0; block < count; block++) {
    const message = await client.message();
    expect(message?.body.length).toBe(8234);
    expect(message?.body.at(-1)).toBe(block % 256);
  }
  await vi.waitFor(() => expect(service.bytesInFlight).toBe(0));
});

test('a client without TLS is refused', async () => {
  const client = new RawClient(plain());
  client.send(STARTUP);
  const messages = await client.rest();
  expect(errorOf(messages[0])).toBe('28000 this listener speaks TLS only');
});

test.each([
  ['garbage behind S', async () => (await asked()).write('garbage, and enough of it to fill a record')],
  ['half a hello', async () => plain().write(Buffer.from([0x16, 3, 1, 0]))],
  [
    'a hello of garbage',
    async () => plain().write(Buffer.concat([Buffer.from([0x16, 3, 1]), Buffer.alloc(500)])),
  ],
  ['plain bytes in the same packet', async () => plain().write(Buffer.concat([SSL_REQUEST, STARTUP]))],
  ['a client that leaves amid the handshake', async () => (await asked()).destroy()],
])('%s ends that connection only', async (_name, attack) => {
  await attack();
  await vi.waitFor(() => expect(service.counters.connectionsAccepted).toBe(1));
  await vi.waitFor(() => expect(service.counters.connectionsOpen).toBe(0), 3000);
  const client = await secured('asked');
  client.send(STARTUP);
  expect(typesOf(await client.until('Z'))).toBe('RSSSZ');
});

test('shutting down ends TLS connections too', async () => {
  const client = await secured('asked');
  expect(client.socket).toBeInstanceOf(TLSSocket);
  client.send(STARTUP);
  await client.until('Z');
  const [messages] = await Promise.all([client.rest(), service.close()]);
  expect(errorOf(messages[0])).toMatch('57P01');
});

test('shutting down does not wait for a client that is silent amid its TLS hello', async () => {
  await service.close();
  const tls = { key: TEST_KEY, cert: TEST_CERTIFICATE };
  service = await PageService.start({
    source: new FakePageSource(),
    listeners: [{ kind: 'tcp', host: '127.0.0.1', port: 0, auth: 'trust', tls }],
    settings: { closeLingerMs: 200, handshakeTimeoutMs: 30_000 },
  });
  where = connectOptions(service.addresses[0] ?? 'unix:') as { host: string; port: number };
  plain().write(Buffer.from([0x16, 3, 1, 0]));
  await vi.waitFor(() => expect(service.counters.connectionsOpen).toBe(1));
  await new Promise((resolve) => setTimeout(resolve, 50));
  const began = performance.now();
  await service.close();
  expect(performance.now() - began).toBeLessThan(5000);
});

test.skipIf(!existsSync('/usr/bin/psql'))('psql', async () => {
  const url = `postgresql://u@${where.host}:${where.port}/d`;
  const run = (mode: string) =>
    promisify(execFile)('/usr/bin/psql', [
      '-XAt',
      `${url}?sslmode=${mode}`,
      '-c',
      `basebackup ${TENANT} ${TIMELINE}`,
    ]);
  expect((await run('require')).stdout).toBe('tar archive');
  await expect(run('disable')).rejects.toThrow('TLS only');
});
