import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { engineError, SplicePump } from '@offshoot/engine';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Gateway } from './gateway.js';
import { GatewayFixture } from './testing/gateway-fixture.js';
import { frame, startup, WELCOME } from './testing/messages.js';
import { errorOf, Peer } from './testing/peer.js';

const fixture = GatewayFixture.forEachTest();
afterEach(() => void vi.restoreAllMocks());

const chunk = Buffer.alloc(64 * 1024, 'x');

/** Writes as long as it is taken; answers how much that was when nothing more goes. */
async function fill(peer: Peer): Promise<number> {
  let written = 0;
  for (;;) {
    while (peer.socket.writableLength < chunk.length) {
      peer.socket.write(chunk);
      written += chunk.length;
    }
    const before = written;
    await sleep(200);
    if (peer.socket.writableLength >= chunk.length && before === written) return written;
  }
}

/** File descriptors of this process. */
const descriptors = () => readdirSync('/proc/self/fd').length;

/** Descriptors that anything of this process polls by epoll. */
function polled(): number {
  const infos = readdirSync('/proc/self/fdinfo').map((fd) => {
    try {
      return readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
    } catch {
      // The one by which the directory was read.
      return '';
    }
  });
  return infos.join('').split('tfd:').length - 1;
}

/** What the gateway may hold: what waits to be written, a read beyond it, and what is read ahead. */
const heldMax = 4 * 64 * 1024;

describe.each([
  { by: 'native threads', spliceThreads: 1 },
  { by: 'the event loop', spliceThreads: 0 },
])('a connection whose bytes are passed by $by', ({ spliceThreads }) => {
  beforeEach(() => {
    fixture.settings = { spliceThreads };
  });

  test('reaches the branch’s compute, and everything passes both ways', async () => {
    await fixture.start();
    const { client, session } = await fixture.spliced();
    expect(fixture.host.opened).toEqual(['try-1']);
    expect(session.startup).toEqual(startup({ user: 'u', database: 'db' }));
    const sent = randomBytes(3_000_000);
    client.socket.write(sent);
    expect((await client.bytes(sent.length)).equals(sent)).toBe(true);
    client.socket.end();
    await client.closed;
    await fixture.expectClean();
    const { seen } = fixture;
    expect(seen.ended).toEqual([
      {
        by: 'client',
        how: 'ended',
        durationMs: expect.any(Number),
        bytesFromClient: sent.length,
        bytesToClient: WELCOME.length + sent.length,
      },
    ]);
    expect(Object.keys(seen.handedOver[0] ?? {})).toEqual([
      'parse',
      'park',
      'connect',
      'startup',
      'hand_over',
    ]);
    expect(fixture.host.released).toBe(1);
  });

  test('counts bytes while they pass, and what passes them', async () => {
    await fixture.start();
    const { client } = await fixture.spliced();
    client.send('there and back');
    await client.bytes(14);
    const { counters } = fixture.gateway;
    expect(counters).toMatchObject({ bytesFromClients: 14, bytesToClients: WELCOME.length + 14 });
    expect(counters.splices).toEqual({ threads: spliceThreads, event_loop: 1 - spliceThreads });
    // None is lost and none is counted twice when it ends.
    client.socket.end();
    await fixture.expectClean();
    expect(counters).toMatchObject({ bytesFromClients: 14, bytesToClients: WELCOME.length + 14 });
  });

  test('keeps two descriptors open while it lasts, and none after it', async () => {
    await fixture.start();
    // Listeners are polled from their first connection on.
    const { client: first } = await fixture.spliced();
    first.send('x');
    await first.bytes(1);
    // What tests before this one had open may still be closing.
    await vi.waitFor(async () => {
      const seen = [descriptors(), polled()];
      await sleep(200);
      expect([descriptors(), polled()]).toEqual(seen);
    }, 20_000);
    const [before, polledBefore] = [descriptors(), polled()];
    const all = await Promise.all(Array.from({ length: 20 }, () => fixture.spliced()));
    // Two are the test's own ends.
    await vi.waitFor(() => expect(descriptors()).toBe(before + 20 * 4));
    // A socket that is closed here and open elsewhere must not be left in the event loop's poll.
    await vi.waitFor(() => expect(polled()).toBe(polledBefore + 20 * 4));
    for (const [n, { client, session }] of all.entries()) {
      if (n % 2 === 0) client.socket.destroy();
      else session.peer.socket.resetAndDestroy();
      client.socket.end();
    }
    // One that stayed open for each of them would be many more than what tests before may still have had open then.
    await vi.waitFor(() => {
      expect(descriptors()).toBeLessThanOrEqual(before);
      expect(polled()).toBeLessThanOrEqual(polledBefore);
    });
  });

  test('bytes right behind ReadyForQuery reach the client', async () => {
    await fixture.start();
    fixture.compute.play = ({ peer }) => peer.send(WELCOME, frame('A', 'x'), frame('A', 'y'));
    const client = await fixture.asking();
    await client.until('Z');
    expect([(await client.message())?.body.toString(), (await client.message())?.body.toString()]).toEqual([
      'x',
      'y',
    ]);
  });

  test.each(['end', 'resetAndDestroy'] as const)('by %s ends its session', async (how) => {
    await fixture.start();
    const { client, session } = await fixture.spliced();
    client.socket[how]();
    await session.peer.closed;
    await fixture.expectClean();
    expect(fixture.seen.ended).toMatchObject([{ by: 'client', how: how === 'end' ? 'ended' : 'broken' }]);
  });

  test('that has closed its sending half still gets its answers', async () => {
    await fixture.start();
    fixture.compute.play = async ({ peer }) => {
      peer.send(WELCOME);
      // More than will come: up to the client's end.
      const query = await peer.bytes(100);
      await sleep(20);
      peer.socket.end(`answer to ${query}`);
    };
    const client = await fixture.asking();
    await client.until('Z');
    client.socket.end('question');
    expect((await client.rest()).toString()).toBe('answer to question');
    await fixture.expectClean();
  });
  test('in order: the client gets its last words, then the end', async () => {
    await fixture.start();
    const { client, session } = await fixture.spliced();
    session.peer.socket.removeAllListeners('data').end(frame('E', 'last words'));
    expect((await client.rest()).toString()).toContain('last words');
    expect(client.ending).toBe('ended');
    await fixture.expectClean();
    expect(fixture.seen.ended).toMatchObject([{ by: 'compute', how: 'ended' }]);
  });

  test('broken: so is the client’s connection, behind what came before', async () => {
    await fixture.start();
    const { client, session } = await fixture.spliced();
    session.peer.send('before');
    await client.bytes(6);
    session.peer.socket.resetAndDestroy();
    await client.rest();
    expect(client.ending).toBe('reset');
    await fixture.expectClean();
    expect(fixture.seen.ended).toMatchObject([{ by: 'compute', how: 'broken' }]);
  });

  describe('a slow side holds the other one back', () => {
    test.each(['client', 'compute'] as const)('the %s', async (slow) => {
      await fixture.start();
      fixture.compute.play = ({ peer }) => peer.send(WELCOME);
      const { client, session } = await fixture.spliced();
      const [reader, writer] = slow === 'client' ? [client, session.peer] : [session.peer, client];
      reader.socket.pause();
      const written = await fill(writer);
      expect(fixture.gateway.bytesHeld).toBeLessThanOrEqual(heldMax);
      // Most of it is in the system's buffers; nothing of it is lost.
      reader.socket.resume();
      expect((await reader.bytes(written)).length).toBe(written);
      await vi.waitFor(() => expect(fixture.gateway.bytesHeld).toBe(0));
    });

    test('a client that never reads keeps no compute’s end from being seen once it leaves', async () => {
      await fixture.start();
      fixture.compute.play = ({ peer }) => peer.send(WELCOME);
      const { client, session } = await fixture.spliced();
      client.socket.pause();
      await fill(session.peer);
      session.peer.socket.destroy();
      client.socket.destroy();
      await fixture.expectClean();
    });
  });

  describe('shutting down', () => {
    test('tells those who wait, and leaves those who are served to their computes', async () => {
      await fixture.start();
      const { client: served, session } = await fixture.spliced();
      fixture.host.gate = new Promise(() => {});
      const parked = await fixture.asking();
      const silent = await fixture.open();
      await vi.waitFor(() => expect(fixture.gateway.counters.parked).toBe(1));
      await vi.waitFor(() => expect(fixture.gateway.counters.connectionsOpen).toBe(3));
      fixture.gateway.retire();
      for (const client of [parked, silent]) {
        expect(errorOf((await client.until('E')).at(-1))).toMatch('FATAL 57P01');
        await client.rest();
      }
      await expect(Peer.open(fixture.port).then((peer) => peer.rest())).rejects.toThrow();
      served.send('still here');
      expect((await served.bytes(10)).toString()).toBe('still here');
      session.peer.socket.end('farewell');
      expect((await served.rest()).toString()).toBe('farewell');
      await fixture.gateway.close();
      await fixture.expectClean();
    });

    test('ends everything at last', async () => {
      await fixture.start({ settings: { closeLingerMs: 100 } });
      const { client } = await fixture.spliced();
      // It does not close its own side.
      await fixture.gateway.close();
      await client.rest();
      expect(fixture.seen.ended).toMatchObject([{ by: 'gateway', how: 'ended' }]);
      await fixture.gateway.close();
    });
  });
});

describe('a connection that native threads do not take', () => {
  test('is served all the same, with every byte, and the log hears of it once', async () => {
    vi.spyOn(SplicePump.prototype, 'adopt').mockImplementation(() => {
      throw engineError('splice_failed', 'no descriptors are left');
    });
    await fixture.start();
    fixture.compute.play = ({ peer }) => {
      peer.send(WELCOME, frame('A', 'behind'));
      peer.socket.pipe(peer.socket);
    };
    for (let n = 0; n < 2; n++) {
      const client = await fixture.asking();
      await client.until('Z');
      expect((await client.message())?.body.toString()).toBe('behind');
      client.send('there and back');
      expect((await client.bytes(14)).toString()).toBe('there and back');
      client.socket.end();
      await client.closed;
    }
    await fixture.expectClean();
    expect(fixture.seen.alerts.map(({ code }) => code)).toEqual(['splice_failed']);
    expect(fixture.gateway.counters.splices).toEqual({ threads: 0, event_loop: 2 });
    expect(fixture.seen.ended).toMatchObject([
      { by: 'client', how: 'ended' },
      { by: 'client', how: 'ended' },
    ]);
  });

  test('since there are none', async () => {
    vi.spyOn(SplicePump, 'start').mockImplementation(() => {
      throw engineError('splice_failed', 'no threads are left');
    });
    await fixture.start();
    const { client } = await fixture.spliced();
    client.send('hello');
    expect((await client.bytes(5)).toString()).toBe('hello');
    expect(fixture.seen.alerts.map(({ code }) => code)).toEqual(['splice_failed']);
  });
});

test('a gateway that cannot listen leaves no thread behind', async () => {
  await fixture.start();
  const threads = () => readdirSync('/proc/self/task').length;
  const before = threads();
  const again = Gateway.start({
    host: fixture.host,
    listen: fixture.gateway.address,
    tls: { policy: 'off' },
    settings: { spliceThreads: 7 },
  });
  await expect(again).rejects.toMatchObject({ code: 'gateway_listen_failed' });
  expect(threads()).toBe(before);
});
