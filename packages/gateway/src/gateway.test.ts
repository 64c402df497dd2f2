import { setTimeout as sleep } from 'node:timers/promises';
import { defineErrors } from '@offshoot/types';
import { BodyReader, cancelRequest } from '@offshoot/wire';
import { describe, expect, test, vi } from 'vitest';
import { Gateway } from './gateway.js';
import { GatewayFixture } from './testing/gateway-fixture.js';
import { AUTHENTICATION_OK, frame, KEY, packet, startup, WELCOME } from './testing/messages.js';
import { errorOf, type Peer, typesOf } from './testing/peer.js';

const fixture = GatewayFixture.forEachTest();
const hostError = defineErrors({
  test_branch_unknown: { kind: 'fix', sqlState: '3D000', httpStatus: 404, action: 'look around' },
  test_wake_failed: { kind: 'alert', sqlState: '57P03', httpStatus: 500 },
});

describe('a connection', () => {
  test('authenticates with the compute, whose questions and answers pass unread', async () => {
    await fixture.start();
    fixture.compute.play = async ({ peer }) => {
      peer.send(frame('R', '\0\0\0\x05salt'));
      const password = await peer.message();
      peer.send(frame('R', '\0\0\0\x0bmore'));
      const answer = await peer.message();
      peer.send(WELCOME, `${password?.body}${answer?.body}`);
    };
    const client = await fixture.asking();
    expect(typesOf(await client.until('R'))).toBe('R');
    client.send(frame('p', 'md5'));
    await client.until('R');
    client.send(frame('p', 'sasl'));
    expect(typesOf(await client.until('Z'))).toBe('RSKZ');
    expect((await client.bytes(7)).toString()).toBe('md5sasl');
  });

  test('that is refused by its compute hears the compute’s own words', async () => {
    await fixture.start();
    const words = frame('E', 'SFATAL\0C28P01\0Mwrong\0\0');
    fixture.compute.play = ({ peer }) => void peer.socket.end(words);
    const client = await fixture.asking();
    expect((await client.rest()).equals(words)).toBe(true);
    await fixture.expectClean();
    expect(fixture.seen.refused).toEqual(['startup compute']);
  });

  test('bytes that the client sends ahead reach the compute', async () => {
    await fixture.start();
    fixture.compute.play = async ({ peer }) => {
      // As Postgres does, which reads on only after it has asked for a password or needs none.
      peer.send(AUTHENTICATION_OK);
      const early = await peer.message();
      peer.send(WELCOME, frame('A', early?.body ?? ''));
    };
    const client = await fixture.open();
    client.send(startup({ user: 'u', database: 'db@try-1' }), frame('Q', 'early\0'));
    await client.until('Z');
    expect((await client.message())?.body.toString()).toBe('early\0');
  });

  test.each([1, 3, 11])('start-up answers in pieces of %i bytes', async (bytes) => {
    await fixture.start();
    fixture.compute.play = async ({ peer }) => {
      for (let at = 0; at < WELCOME.length; at += bytes) {
        peer.send(WELCOME.subarray(at, at + bytes));
        await sleep(1);
      }
    };
    const client = await fixture.asking();
    expect(typesOf(await client.until('Z'))).toBe('RSKZ');
  });
});

describe('an error of the host', () => {
  test.each([
    ['test_branch_unknown', 'FATAL 3D000 no', [], 'look around'],
    ['test_wake_failed', 'FATAL 57P03 no', ['test_wake_failed'], 'its log says more'],
  ] as const)('%s is told with its own SQLSTATE', async (code, told, alerts, hint) => {
    await fixture.start();
    fixture.host.gate = Promise.reject(hostError(code, 'no'));
    fixture.host.gate.catch(() => {});
    for (let attempt = 0; attempt < 2; attempt++) {
      const client = await fixture.asking();
      const [message] = await client.until('E');
      expect(errorOf(message)).toBe(told);
      expect(message?.body.toString()).toContain(hint);
      expect((await client.rest()).length).toBe(0);
      expect(client.ending).toBe('ended');
      client.socket.end();
    }
    await vi.waitFor(() => expect(fixture.gateway.counters.connectionsOpen).toBe(0));
    // One kind of failure is reported once in a while.
    expect(fixture.seen.alerts.map((error) => error.code)).toEqual(alerts);
    expect(fixture.gateway.counters.refused).toEqual({ [told.split(' ')[1] as string]: 2 });
  });

  test('that nobody expected is told without its words', async () => {
    await fixture.start();
    fixture.host.open = () => {
      throw new TypeError('secret');
    };
    const message = (await (await fixture.asking()).until('E')).at(-1);
    expect(errorOf(message)).toMatch('FATAL XX000');
    expect(message?.body.toString()).not.toContain('secret');
    expect(fixture.seen.alerts).toHaveLength(1);
  });
});

describe('a cancel request', () => {
  async function key(client: Peer) {
    const message = (await client.until('Z')).find(({ type }) => type === 'K');
    const body = new BodyReader(message?.body ?? Buffer.alloc(0), 'K');
    return { processId: body.uint32(), secret: message?.body.subarray(4) ?? Buffer.alloc(0) };
  }

  test('with our key reaches the compute with its own', async () => {
    await fixture.start();
    const ours = await key(await fixture.asking());
    expect(ours.processId).toBe(7);
    expect(ours.secret.toString()).not.toBe('key!');
    const canceller = await fixture.open();
    canceller.send(cancelRequest(ours.processId, ours.secret));
    expect((await canceller.rest()).length).toBe(0);
    expect(fixture.compute.cancels).toEqual([packet(80_877_102, '\0\0\0\x07key!')]);
    expect(fixture.gateway.counters).toMatchObject({ cancelsForwarded: 1, cancelsUnknown: 0 });
  });

  test('with another key ends in nothing', async () => {
    await fixture.start();
    const client = await fixture.asking();
    const ours = await key(client);
    for (const [processId, secret] of [
      [7, Buffer.from('key!')],
      [8, ours.secret],
      [7, Buffer.concat([ours.secret, Buffer.from('x')])],
    ] as const) {
      const canceller = await fixture.open();
      canceller.send(cancelRequest(processId, secret));
      expect((await canceller.rest()).length).toBe(0);
    }
    client.socket.end();
    await vi.waitFor(() => expect(fixture.gateway.cancelKeys).toBe(0));
    const late = await fixture.open();
    late.send(cancelRequest(7, ours.secret));
    await late.rest();
    expect(fixture.gateway.counters).toMatchObject({ cancelsForwarded: 0, cancelsUnknown: 4 });
    expect(fixture.compute.cancels).toEqual([]);
  });

  test('to a compute that is gone ends, too', async () => {
    await fixture.start();
    fixture.compute.play = ({ peer }) => peer.send(WELCOME);
    const ours = await key(await fixture.asking());
    const canceller = await fixture.open();
    // Its listener is gone, and its sessions not yet.
    const address = fixture.compute.address;
    vi.spyOn(fixture.compute, 'address', 'get').mockReturnValue(address);
    await Promise.race([fixture.compute.close(), sleep(20)]);
    canceller.send(cancelRequest(ours.processId, ours.secret));
    expect((await canceller.rest()).length).toBe(0);
  });
});

describe('a client that leaves', () => {
  test.each(['end', 'destroy', 'resetAndDestroy'] as const)(
    'by %s while it waits gives up its wait',
    async (how) => {
      await fixture.start();
      fixture.host.gate = new Promise(() => {});
      const client = await fixture.asking();
      await vi.waitFor(() => expect(fixture.gateway.counters.parked).toBe(1));
      client.socket[how]();
      await fixture.expectClean();
      expect(fixture.host.aborted).toBe(1);
      expect(fixture.seen.left).toEqual(['park']);
      expect(fixture.gateway.counters.refused).toEqual({});
    },
  );

  test('while it waits, and whose branch opens all the same, keeps nothing open', async () => {
    await fixture.start();
    let open: (_: unknown) => void = () => {};
    fixture.host.gate = new Promise((resolve) => {
      open = resolve;
    });
    fixture.host.hearing = 'deaf';
    const client = await fixture.asking();
    await vi.waitFor(() => expect(fixture.gateway.counters.parked).toBe(1));
    client.socket.destroy();
    await fixture.expectClean();
    open(undefined);
    await vi.waitFor(() => expect(fixture.host.released).toBe(1));
  });

  test.each([
    ['before it has said anything', async () => fixture.open()],
    [
      'amid its start-up packet',
      async () => {
        const client = await fixture.open();
        client.send(startup({ user: 'u', database: 'db@try-1' }).subarray(0, 12));
        return client;
      },
    ],
    [
      'amid its authentication',
      async () => {
        fixture.compute.play = ({ peer }) => peer.send(frame('R', '\0\0\0\x03'));
        const client = await fixture.asking();
        await client.until('R');
        return client;
      },
    ],
  ])('%s', async (_name, arrive) => {
    await fixture.start();
    const client = await arrive();
    await vi.waitFor(() => expect(fixture.gateway.counters.connectionsTotal).toBe(1));
    client.socket.end();
    await fixture.expectClean();
    expect(fixture.gateway.counters).toMatchObject({ left: 1, refused: {} });
  });
});

describe('a compute that goes away', () => {
  test('before it is reached', async () => {
    await fixture.start({ settings: { reopensMax: 2, reopenPauseMs: 1 } });
    await fixture.compute.close();
    vi.spyOn(fixture.host.compute, 'address', 'get').mockReturnValue({ host: '127.0.0.1', port: 1 });
    const client = await fixture.asking();
    expect(errorOf((await client.until('E')).at(-1))).toMatch(
      /^FATAL 57P03 the compute cannot be reached: .*ECONNREFUSED/,
    );
    await fixture.expectClean();
    expect(fixture.host.released).toBe(3);
  });

  test.each([
    ['at once', Buffer.alloc(0)],
    ['amid the header of a message', AUTHENTICATION_OK.subarray(0, 3)],
    ['between messages', AUTHENTICATION_OK],
    ['right before ReadyForQuery', Buffer.concat([AUTHENTICATION_OK, KEY])],
  ])('in the start-up exchange, %s', async (_name, words) => {
    await fixture.start({ settings: { reopensMax: 2, reopenPauseMs: 1 } });
    fixture.compute.play = ({ peer }) => void peer.socket.end(words);
    const client = await fixture.asking();
    expect(errorOf((await client.until('E')).at(-1))).toMatch(/^FATAL 57P03 the compute ended/);
    await client.rest();
    expect(client.ending).toBe('ended');
    await fixture.expectClean();
  });

  test('amid a message of the start-up exchange', async () => {
    await fixture.start();
    fixture.compute.play = ({ peer }) => void peer.socket.end(frame('S', 'name\0value\0').subarray(0, 9));
    const client = await fixture.asking();
    await client.rest();
    expect(client.ending).toBe('reset');
    await fixture.expectClean();
  });

  test('and was none', async () => {
    await fixture.start();
    fixture.compute.play = ({ peer }) => peer.send('HTTP/1.1 400 Bad Request\r\n\r\n');
    const client = await fixture.asking();
    expect(errorOf((await client.until('E')).at(-1))).toMatch('FATAL 08P01');
    await client.rest();
    expect(fixture.seen.alerts).toHaveLength(1);
    await fixture.expectClean();
  });
});

test('an address that is taken is refused', async () => {
  await fixture.start();
  const listen = fixture.gateway.address;
  const again = Gateway.start({ host: fixture.host, listen, tls: { policy: 'off' } });
  await expect(again).rejects.toMatchObject({ code: 'gateway_listen_failed' });
});
