import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Lsn } from '@offshoot/types';
import { describe, expect, test, vi } from 'vitest';
import { chunked } from './testing/fake-page-source.js';
import {
  BACKUP,
  FAR,
  getPage,
  getPages,
  PageServiceFixture,
  STREAM,
  words,
} from './testing/page-service-fixture.js';
import { CANCEL_REQUEST, errorOf, query, STARTUP, typesOf } from './testing/raw-client.js';

const fixture = PageServiceFixture.forEachTest();

describe('limits', () => {
  test('a slow reader stalls only itself, and little is made for it', async () => {
    await fixture.start({
      settings: { inFlightBytesPerConnectionMax: 1_000_000, inFlightBytesTotalMax: 1_000_000 },
    });
    const slow = await fixture.streaming();
    slow.socket.pause();
    const count = 3000;
    slow.send(...getPages(count));
    await vi.waitFor(() => expect(fixture.service.bytesInFlight).toBeGreaterThan(100_000));
    await fixture.expectAlive();
    await new Promise((resolve) => setTimeout(resolve, 100));
    const made = fixture.source.calls.reduce((sum, calls) => sum + calls, 0);
    expect(made * 8239).toBeLessThan(5_000_000);
    expect(fixture.service.bytesInFlight).toBeLessThan(1_100_000);
    slow.socket.resume();
    expect((await words(slow, count)).at(-1)).toBe(`page ${(count - 1) % 256}`);
    await vi.waitFor(() => expect(fixture.service.bytesInFlight).toBe(0));
  });

  test('a slow reader that leaves gives back what it held', async () => {
    await fixture.start();
    const slow = await fixture.streaming();
    slow.socket.pause();
    slow.send(...getPages(2000));
    await vi.waitFor(() => expect(fixture.service.bytesInFlight).toBeGreaterThan(100_000));
    slow.close();
    await vi.waitFor(() => expect(fixture.service.bytesInFlight).toBe(0));
    await vi.waitFor(() => expect(fixture.service.counters.connectionsOpen).toBe(0));
  });

  test('input that is not looked at is bounded', async () => {
    await fixture.start();
    let open = () => {};
    fixture.source.gate = new Promise((resolve) => {
      open = resolve;
    });
    const client = await fixture.streaming();
    const requests = Array.from({ length: 100_000 }, (_, block) => getPage(block, 1n as Lsn, 0));
    client.send(...requests);
    await vi.waitFor(() => expect(fixture.service.counters.bytesReceived).toBeGreaterThan(200_000));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(fixture.service.counters.bytesReceived).toBeLessThan(500_000);
    open();
    expect(new Set(await words(client, requests.length))).toEqual(
      new Set(['error relation 0 does not exist']),
    );
  });

  test('too many connections are told so', async () => {
    await fixture.start({ settings: { connectionsMax: 1, connectionsRefusedMax: 1, closeLingerMs: 100 } });
    const first = await fixture.ready();
    const second = await fixture.opened();
    const third = await fixture.opened();
    expect(await third.rest()).toEqual([]);
    second.send(STARTUP);
    const messages = await second.rest();
    expect(errorOf(messages[0])).toBe('53300 too many connections');
    expect(messages.length).toBe(1);
    first.close();
    await vi.waitFor(() => expect(fixture.service.counters.connectionsOpen).toBe(0));
    await fixture.ready();
    expect(fixture.service.counters).toMatchObject({ connectionsAccepted: 2, connectionsRefused: 2 });
  });

  test('a handshake has its time', async () => {
    await fixture.start({ settings: { handshakeTimeoutMs: 100 } });
    const fast = await fixture.ready();
    const slow = await fixture.opened();
    slow.send(STARTUP.subarray(0, 10));
    expect(await slow.rest()).toEqual([]);
    fast.send(query('set x'));
    expect(typesOf(await fast.until('Z'))).toBe('CZ');
  });

  test('an idle connection is closed; one that works is not', async () => {
    await fixture.start({ settings: { idleTimeoutMs: 150 } });
    const idle = await fixture.ready();
    const working = await fixture.streaming();
    working.send(getPage(1, FAR));
    expect(await idle.rest()).toEqual([]);
    await new Promise((resolve) => setTimeout(resolve, 200));
    fixture.source.progress.advance(FAR);
    expect(await words(working, 1)).toEqual(['page 1']);
  });

  test.each([
    ['garbage', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['a startup packet of 2 GB', Buffer.from('7fffffff00030000', 'hex')],
    ['a startup packet of length 0', Buffer.alloc(8)],
    ['a CancelRequest', CANCEL_REQUEST],
    ['a message of 2 GB', Buffer.concat([STARTUP, Buffer.from('517fffffff', 'hex')])],
    ['a request of 2 GB', Buffer.concat([STARTUP, query(STREAM), Buffer.from('647fffffff', 'hex')])],
    ['an unknown message', Buffer.concat([STARTUP, Buffer.from('H\0\0\0\x04')])],
    ['random bytes', Buffer.from(Array.from({ length: 10_000 }, (_, at) => (at * 7919) % 256))],
  ])('%s ends that connection only', async (_name, bytes) => {
    await fixture.start();
    const client = await fixture.opened();
    client.send(bytes);
    const messages = await client.rest();
    expect(['', 'E']).toContain(typesOf(messages.filter(({ type }) => !'RSZW'.includes(type))));
    await fixture.expectAlive();
  });

  test('settings must make sense', async () => {
    await expect(fixture.start({ settings: { requestsPerCallMax: 0 } })).rejects.toThrow(
      'requestsPerCallMax',
    );
    await expect(fixture.start({ settings: { inputBytesMax: 10 } })).rejects.toThrow('inputBytesMax');
    const listeners = [{ kind: 'tcp', host: '127.0.0.1', port: 0, auth: 'token' }] as const;
    await expect(fixture.start({ listeners })).rejects.toThrow('token provider');
  });
});

describe('shutdown', () => {
  test('says so to everyone and leaves nothing', async () => {
    await fixture.start({ settings: { closeLingerMs: 200 } });
    const idle = await fixture.ready();
    const streams = await fixture.streaming();
    const waiting = await fixture.streaming();
    waiting.send(getPage(1, FAR));
    const slow = await fixture.streaming();
    slow.socket.pause();
    slow.send(...getPages(2000));
    await vi.waitFor(() => expect(fixture.service.bytesInFlight).toBeGreaterThan(100_000));
    const closing = fixture.service.close();
    for (const client of [idle, streams, waiting]) {
      const messages = await client.rest();
      expect(errorOf(messages[0])).toBe('57P01 the page server is shutting down');
      expect(messages.length).toBe(1);
    }
    await closing;
    expect(fixture.service.counters.connectionsOpen).toBe(0);
    await vi.waitFor(() => expect(fixture.service.bytesInFlight).toBe(0));
    expect(existsSync(join(fixture.directory, 's'))).toBe(false);
  });

  test('interrupts a backup', async () => {
    await fixture.start({ settings: { closeLingerMs: 200 } });
    fixture.source.archive = async function* () {
      for (;;) {
        yield* chunked([Buffer.alloc(65_536)]);
      }
    };
    const client = await fixture.ready();
    client.send(query(BACKUP));
    await client.message();
    const [messages] = await Promise.all([client.rest(), fixture.service.close()]);
    expect(errorOf(messages.at(-1))).toMatch('57P01');
  });
});
