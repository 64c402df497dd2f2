import { setTimeout as sleep } from 'node:timers/promises';
import { cancelRequest } from '@offshoot/wire';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { Gateway } from './gateway.js';
import { GatewayFixture } from './testing/gateway-fixture.js';
import { AUTHENTICATION_OK, frame, packet, startup } from './testing/messages.js';
import { errorOf, type Peer, typesOf } from './testing/peer.js';

const fixture = GatewayFixture.forEachTest();

async function told(client: Peer): Promise<string> {
  const words = errorOf((await client.until('E')).at(-1));
  client.socket.end();
  return words;
}

describe('as many connections as may be', () => {
  test('in all: some more are told so, the rest are closed, a cancel request still passes', async () => {
    await fixture.start({ settings: { connectionsMax: 1, connectionsRefusedMax: 2 } });
    const { client } = await fixture.spliced();
    expect(await told(await fixture.asking())).toBe('FATAL 53300 all 1 connections are in use');
    await vi.waitFor(() => expect(fixture.gateway.counters.connectionsOpen).toBe(1));
    const canceller = await fixture.open();
    canceller.send(cancelRequest(7, Buffer.from('none')));
    await canceller.rest();
    expect(fixture.gateway.counters.cancelsUnknown).toBe(1);
    await vi.waitFor(() => expect(fixture.gateway.counters.connectionsOpen).toBe(1));
    await fixture.open();
    await fixture.open();
    await vi.waitFor(() => expect(fixture.gateway.counters.connectionsOpen).toBe(3));
    expect((await (await fixture.open()).rest()).length).toBe(0);
    expect(fixture.gateway.counters.turnedAway).toBe(1);
    client.socket.end();
  });

  test('to one branch', async () => {
    await fixture.start({ settings: { connectionsPerBranchMax: 1 } });
    const { client } = await fixture.spliced();
    expect(await told(await fixture.asking())).toMatch('FATAL 53300 branch try-1 has 1 connections');
    await (await fixture.asking('try-2')).until('Z');
    client.socket.end();
    await vi.waitFor(() => expect(fixture.gateway.counters.connectionsSpliced).toBe(1));
    await (await fixture.asking()).until('Z');
  });

  test('that wait', async () => {
    await fixture.start({ settings: { parkedMax: 1 } });
    let open: (_: unknown) => void = () => {};
    fixture.host.gate = new Promise((resolve) => {
      open = resolve;
    });
    const first = await fixture.asking();
    await vi.waitFor(() => expect(fixture.gateway.counters.parked).toBe(1));
    expect(await told(await fixture.asking('try-2'))).toMatch('FATAL 53300 1 connections wait');
    open(undefined);
    await first.until('Z');
    expect(fixture.host.opened).toEqual(['try-1']);
  });
});

test('two hundred connections at once to one branch', async () => {
  await fixture.start();
  const before = process.memoryUsage().heapUsed;
  const clients = await Promise.all(
    Array.from({ length: 200 }, async (_, index) => {
      const client = await fixture.asking();
      expect(typesOf(await client.until('Z'))).toBe('RSKZ');
      client.send(`number ${index}`);
      expect((await client.bytes(`number ${index}`.length)).toString()).toBe(`number ${index}`);
      return client;
    }),
  );
  expect(fixture.gateway.counters).toMatchObject({ connectionsSpliced: 200, connectionsTotal: 200 });
  expect(fixture.gateway.cancelKeys).toBe(200);
  expect(fixture.host.opened).toHaveLength(200);
  for (const client of clients) client.socket.end();
  await fixture.expectClean();
  expect(fixture.host.released).toBe(200);
  expect(before).toBeGreaterThan(0);
});

describe('time', () => {
  test('for the start-up packet, also for a client that sends it byte by byte', async () => {
    await fixture.start({ settings: { handshakeTimeoutMs: 200 } });
    const silent = await fixture.open();
    const slow = await fixture.open();
    const bytes = startup({ user: 'u', database: 'db@try-1' });
    let at = 0;
    const drip = setInterval(() => slow.send(bytes.subarray(at, ++at)), 20);
    for (const client of [silent, slow]) {
      expect(await told(client)).toMatch('FATAL 57014 no start-up packet came within 200 ms');
      await client.rest();
    }
    clearInterval(drip);
    expect(at).toBeLessThan(bytes.length);
    await fixture.expectClean();
  });

  test('for the branch', async () => {
    await fixture.start({ settings: { parkTimeoutMs: 50 } });
    fixture.host.gate = new Promise(() => {});
    expect(await told(await fixture.asking())).toMatch(
      'FATAL 57P03 branch try-1 took no connections within 50 ms',
    );
    await fixture.expectClean();
    expect(fixture.host.aborted).toBe(1);
  });

  test('for the compute, and not that of the client', async () => {
    await fixture.start({ settings: { startupTimeoutMs: 150, authenticationTimeoutMs: 10_000 } });
    fixture.compute.play = async ({ peer }) => {
      peer.send(frame('R', '\0\0\0\x03'));
      await peer.message();
      peer.send(AUTHENTICATION_OK);
    };
    const client = await fixture.asking();
    await client.until('R');
    await sleep(300);
    expect(client.ending).toBeUndefined();
    client.send(frame('p', 'password\0'));
    expect(await told(client)).toMatch('FATAL 57P03 the compute did not take the connection within 150 ms');
    await fixture.expectClean();
  });

  test('for the client’s part of the authentication', async () => {
    await fixture.start({ settings: { authenticationTimeoutMs: 100 } });
    fixture.compute.play = ({ peer }) => peer.send(frame('R', '\0\0\0\x03'));
    const client = await fixture.asking();
    expect(await told(client)).toMatch('FATAL 57014 the client took more than 100 ms');
    await fixture.expectClean();
  });

  test('for connecting to a compute that does not accept', async () => {
    await fixture.start({ settings: { connectTimeoutMs: 100 } });
    // Of a network that is for documentation nobody answers; where there is no way there, that is told at once.
    fixture.host.open = async () => ({ address: { host: '192.0.2.1', port: 5432 }, release: () => {} });
    expect(await told(await fixture.asking())).toMatch('FATAL 57P03 the compute cannot be reached');
  });

  test('for taking the last words', async () => {
    await fixture.start({ settings: { closeLingerMs: 100 } });
    const { client, session } = await fixture.spliced();
    client.socket.pause();
    session.peer.socket.end('farewell');
    // It keeps its side open, and is cut off.
    await vi.waitFor(() => expect(fixture.gateway.counters.connectionsOpen).toBe(0));
  });
});

describe('what a client sends', () => {
  test.each([
    ['garbage', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['a packet that is too long', packet(0x30000, 'x'.repeat(20_000))],
    ['a length without the rest that is too long', Buffer.from([0x7f, 0xff, 0xff, 0xff])],
    ['a packet that is too short', Buffer.from([0, 0, 0, 4])],
    ['no terminator', packet(0x30000, 'user\0u\0')],
  ])('%s is refused', async (_name, bytes) => {
    await fixture.start();
    const client = await fixture.open();
    client.send(bytes);
    expect(await told(client)).toMatch('FATAL 08P01');
    await client.rest();
    await fixture.expectClean();
    expect(fixture.host.opened).toEqual([]);
    expect(fixture.seen.alerts).toEqual([]);
  });

  test('while it waits is held back', async () => {
    await fixture.start();
    fixture.host.gate = new Promise(() => {});
    const client = await fixture.asking();
    await vi.waitFor(() => expect(fixture.gateway.counters.parked).toBe(1));
    client.socket.write(Buffer.alloc(32_000_000));
    await sleep(200);
    expect(fixture.gateway.bytesHeld).toBeLessThan(4 * 64 * 1024);
    expect(client.socket.writableLength).toBeGreaterThan(0);
  });

  test('arbitrary bytes in arbitrary pieces end that connection only', async () => {
    await fixture.start({ settings: { handshakeTimeoutMs: 300, startupTimeoutMs: 300 } });
    const head = fc.constantFrom('', '\0\0\0\x08\x04\xd2\x16\x2f', '\0\0\0\x20\0\x03\0\0user\0u\0');
    const pieces = fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 });
    const attacks = fc.sample(fc.tuple(head, pieces), { numRuns: 60, seed: 3 });
    await Promise.all(
      attacks.map(async ([first, chunks]) => {
        const client = await fixture.open();
        client.send(first);
        for (const chunk of chunks) {
          client.send(chunk);
          await sleep(1);
        }
        await client.rest();
      }),
    );
    await fixture.expectClean();
    expect(fixture.seen.alerts).toEqual([]);
    await (await fixture.asking()).until('Z');
  });
});

test.each([{ connectionsMax: 0 }, { parkTimeoutMs: 1.5 }, { socketBufferBytes: -1 }])(
  '%j is refused',
  async (settings) => {
    const options = {
      host: fixture.host,
      listen: { host: '127.0.0.1', port: 0 },
      tls: { policy: 'off' },
      settings,
    } as const;
    await expect(Gateway.start(options)).rejects.toMatchObject({ code: 'invalid_argument' });
  },
);
