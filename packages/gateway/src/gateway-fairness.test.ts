import { connect } from 'node:net';
import { cancelRequest } from '@offshoot/wire';
import { expect, test, vi } from 'vitest';
import { GatewayFixture } from './testing/gateway-fixture.js';
import { startup } from './testing/messages.js';
import { errorOf, Peer } from './testing/peer.js';

const fixture = GatewayFixture.forEachTest();
const HOUR_MS = 3_600_000;
const settings = { connectionsMax: 5, connectionsRefusedMax: 2, handshakeTimeoutMs: HOUR_MS };

const silent = (count: number) => Promise.all(Array.from({ length: count }, () => fixture.open()));
const open = () => fixture.gateway.counters.connectionsOpen;

/** From another address of this machine. */
async function elsewhere(localAddress: string): Promise<Peer> {
  const socket = connect({ host: '127.0.0.1', port: fixture.port, localAddress, allowHalfOpen: true });
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  return fixture.keep(new Peer(socket));
}

async function ready(client: Peer, branch = 'try-1'): Promise<void> {
  client.send(startup({ user: 'u', database: `db@${branch}` }));
  expect((await client.until('Z')).at(-1)?.type).toBe('Z');
}

test('whoever has said nothing for a while makes room, the one that was silent for longest first', async () => {
  await fixture.start({ settings: { ...settings, handshakeGraceMs: 1 } });
  const [first, second] = await silent(5);
  await vi.waitFor(() => expect(open()).toBe(5));
  await new Promise((resolve) => setTimeout(resolve, 20));
  await ready(await fixture.open());
  expect(errorOf(await first?.message())).toMatch(/^FATAL 53300 .*no start-up packet/);
  await first?.rest();
  expect(second?.ending).toBeUndefined();
  await ready(await fixture.open());
  await second?.rest();
});

test('nobody makes room for others at the same address before that while', async () => {
  await fixture.start({ settings: { ...settings, handshakeGraceMs: HOUR_MS } });
  const early = await silent(5);
  await vi.waitFor(() => expect(open()).toBe(5));
  const late = await fixture.asking();
  expect(errorOf((await late.until('E')).at(-1))).toBe('FATAL 53300 all 5 connections are in use');
  await ready(early[4] as Peer);
  expect(early.map(({ ending }) => ending)).toEqual([undefined, undefined, undefined, undefined, undefined]);
});

test('an address with many silent ones makes room for others at once', async () => {
  await fixture.start({ settings: { ...settings, handshakeGraceMs: HOUR_MS } });
  const [first, ...crowd] = await silent(4);
  const lonely = await elsewhere('127.0.0.2');
  await vi.waitFor(() => expect(open()).toBe(5));
  await ready(await elsewhere('127.0.0.3'));
  await first?.rest();
  // It has no more than its share, and is not made to leave for one more of the crowd.
  const late = await fixture.asking();
  expect(errorOf((await late.until('E')).at(-1))).toMatch('FATAL 53300 all 5 connections');
  await ready(lonely);
  expect(crowd.map(({ ending }) => ending)).toEqual([undefined, undefined, undefined]);
});

test('whoever has said whom it wants stays, and who waits for the branch too', async () => {
  await fixture.start({ settings: { ...settings, handshakeGraceMs: 1 } });
  for (let n = 0; n < 4; n += 1) await ready(await fixture.open());
  fixture.host.gate = new Promise(() => {});
  const waiting = await fixture.asking();
  await vi.waitFor(() => expect(fixture.gateway.counters.parked).toBe(1));
  await new Promise((resolve) => setTimeout(resolve, 20));
  const late = await fixture.asking();
  expect(errorOf((await late.until('E')).at(-1))).toMatch('FATAL 53300 all 5 connections');
  expect(waiting.ending).toBeUndefined();
});

test('a cancel request passes though all places for refusals are taken by silent ones', async () => {
  await fixture.start({ settings: { ...settings, handshakeGraceMs: 1 } });
  for (let n = 0; n < 5; n += 1) await ready(await fixture.open());
  const [first] = await silent(2);
  await vi.waitFor(() => expect(open()).toBe(7));
  await new Promise((resolve) => setTimeout(resolve, 20));
  const canceller = await fixture.open();
  canceller.send(cancelRequest(7, Buffer.from('none')));
  await canceller.rest();
  expect(fixture.gateway.counters.cancelsUnknown).toBe(1);
  await first?.rest();
  expect(fixture.gateway.counters.turnedAway).toBe(0);
});

test('hundreds of silent ones keep nobody out, and what is held for them is bounded', async () => {
  await fixture.start({ settings: { ...settings, connectionsMax: 50, handshakeGraceMs: 1 } });
  let over = false;
  const flood = (async () => {
    for (let n = 0; n < 300 && !over; n += 1) await fixture.open();
  })();
  for (let n = 0; n < 10; n += 1) {
    const client = await elsewhere('127.0.0.2');
    await ready(client);
    client.socket.destroy();
  }
  over = true;
  await flood;
  await vi.waitFor(() => expect(open()).toBeLessThanOrEqual(52));
  await ready(await elsewhere('127.0.0.2'));
});
