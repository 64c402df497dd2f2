import { fatalResponse } from '@offshoot/wire';
import { describe, expect, test, vi } from 'vitest';
import { FakeCompute } from './testing/fake-compute.js';
import { GatewayFixture } from './testing/gateway-fixture.js';
import { frame, startup } from './testing/messages.js';
import { errorOf, typesOf } from './testing/peer.js';

const fixture = GatewayFixture.forEachTest();
const settings = { reopensMax: 3, reopenPauseMs: 5 };
const notNow = (message: string) => fatalResponse({ sqlState: '57P03', message, hint: '' });

/** The first `times` sessions end with the words, the next are welcomed. */
function refuse(times: number, words: Buffer): void {
  const { compute } = fixture;
  const welcome = compute.play;
  compute.play = (session) =>
    compute.sessions.length <= times ? void session.peer.socket.end(words) : welcome(session);
}

describe('a compute that ends as its address is given out', () => {
  test.each([
    ['starts up or shuts down', notNow('the database system is shutting down')],
    ['ends without a word', Buffer.alloc(0)],
    ['ends amid an error', notNow('the database system is in recovery mode').subarray(0, 12)],
  ])('and %s: the branch is opened again, and the client hears nothing of it', async (_name, words) => {
    await fixture.start({ settings });
    refuse(3, words);
    const client = await fixture.asking();
    client.send('early');
    const welcome = await client.until('Z');
    expect(typesOf(welcome)).toBe('RSKZ');
    // What it sent ahead came to the one that took the connection.
    expect((await client.bytes(5)).toString()).toBe('early');
    expect(fixture.compute.sessions).toHaveLength(4);
    expect(fixture.host.released).toBe(3);
    expect(fixture.gateway.counters.reopened).toBe(3);
    client.socket.destroy();
    await fixture.expectClean();
  });

  test('and nobody listens there any more', async () => {
    await fixture.start({ settings });
    const gone = await FakeCompute.start();
    const { address } = gone;
    await gone.close();
    const here = vi.spyOn(fixture.host.compute, 'address', 'get').mockReturnValueOnce(address);
    const client = await fixture.asking();
    await client.until('Z');
    expect(here).toHaveBeenCalledTimes(2);
    client.socket.destroy();
    await fixture.expectClean();
  });

  test('again and again: the client hears the compute’s own last words', async () => {
    await fixture.start({ settings });
    refuse(9, notNow('the database system is starting up'));
    const client = await fixture.asking();
    const [error] = await client.until('E');
    expect(errorOf(error)).toBe('FATAL 57P03 the database system is starting up');
    await client.rest();
    expect(fixture.compute.sessions).toHaveLength(4);
    expect(fixture.seen.refused).toEqual(['startup compute']);
    await fixture.expectClean();
  });

  test('another refusal is final', async () => {
    await fixture.start({ settings });
    refuse(9, fatalResponse({ sqlState: '28P01', message: 'no', hint: '' }));
    await (await fixture.asking()).until('E');
    expect(fixture.compute.sessions).toHaveLength(1);
    await fixture.expectClean();
  });

  test('after a request for the password it is not opened again', async () => {
    await fixture.start({ settings });
    fixture.compute.play = ({ peer }) => void peer.socket.end(frame('R', '\0\0\0\x03'));
    const client = await fixture.asking();
    await client.until('E');
    expect(fixture.compute.sessions).toHaveLength(1);
    await fixture.expectClean();
  });

  test('a client that leaves in between is not served any more', async () => {
    await fixture.start({ settings: { reopensMax: 1000, reopenPauseMs: 20 } });
    refuse(1000, notNow('the database system is starting up'));
    const client = await fixture.asking();
    await vi.waitFor(() => expect(fixture.gateway.counters.reopened).toBeGreaterThan(1));
    client.socket.destroy();
    await fixture.expectClean();
    expect(fixture.gateway.counters.left).toBe(1);
  });
});

test('the start-up packet comes to each as the client sent it, without the branch', async () => {
  await fixture.start({ settings });
  refuse(1, notNow('the database system is starting up'));
  const client = await fixture.asking();
  await client.until('Z');
  for (const session of fixture.compute.sessions) {
    expect(session.startup).toEqual(startup({ user: 'u', database: 'db' }));
  }
  client.socket.destroy();
});
