import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { Gateway } from './gateway.js';
import { type CertificateAndKey, selfSignedCertificate } from './self-signed-certificate.js';
import { GatewayFixture } from './testing/gateway-fixture.js';
import { GSSENC_REQUEST, SSL_REQUEST, startup, WELCOME } from './testing/messages.js';
import { errorOf, Peer, typesOf } from './testing/peer.js';

const fixture = GatewayFixture.forEachTest();
const STARTUP = startup({ user: 'u', database: 'db@try-1' });
let pem: CertificateAndKey;

beforeAll(async () => {
  pem = await selfSignedCertificate(new Date(), 'db.example.com');
});

const start = (policy: 'allow' | 'require' = 'allow', rest = {}) =>
  fixture.start({ tls: { policy, ...pem }, sniDomain: 'db.example.com', ...rest });

async function asked(...before: Buffer[]): Promise<Peer> {
  const peer = await fixture.open();
  for (const bytes of before) {
    peer.send(bytes);
    expect((await peer.bytes(1)).toString()).toBe('N');
  }
  peer.send(SSL_REQUEST);
  expect((await peer.bytes(1)).toString()).toBe('S');
  return peer;
}

describe('TLS', () => {
  test.each([
    ['asked for', async () => Peer.secured(await asked())],
    ['asked for after GSS', async () => Peer.secured(await asked(GSSENC_REQUEST))],
    ['TLS 1.2', async () => Peer.secured(await asked(), { maxVersion: 'TLSv1.2' })],
    ['begun at once', async () => Peer.secured(fixture.port, { ALPNProtocols: ['postgresql'] })],
    [
      'begun at once, for a client that checks who we are',
      async () =>
        Peer.secured(fixture.port, {
          ALPNProtocols: ['postgresql'],
          rejectUnauthorized: true,
          ca: pem.cert,
          servername: 'localhost',
        }),
    ],
  ])('%s', async (_name, secure) => {
    await start('require');
    const client = fixture.keep(await secure());
    client.send(STARTUP);
    expect(typesOf(await client.until('Z'))).toBe('RSKZ');
    const sent = randomBytes(1_000_000);
    client.socket.write(sent);
    expect((await client.bytes(sent.length)).equals(sent)).toBe(true);
    client.socket.end();
    await client.closed;
    await fixture.expectClean();
  });

  test('a host name names the branch', async () => {
    await start();
    const client = fixture.keep(await Peer.secured(await asked(), { servername: 'Try-2.DB.example.com' }));
    client.send(startup({ user: 'u', database: 'db' }));
    await client.until('Z');
    expect(fixture.host.opened).toEqual(['try-2']);
  });

  test('a host name and a database that name different branches are refused', async () => {
    await start();
    const client = fixture.keep(await Peer.secured(await asked(), { servername: 'try-2.db.example.com' }));
    client.send(STARTUP);
    expect(errorOf((await client.until('E')).at(-1))).toMatch('FATAL 08P01');
    await client.rest();
    expect(client.ending).toBe('ended');
    expect(fixture.host.opened).toEqual([]);
  });

  test('is refused when there is none, and the client may go on without', async () => {
    await fixture.start();
    const client = await fixture.open();
    client.send(SSL_REQUEST);
    expect((await client.bytes(1)).toString()).toBe('N');
    client.send(STARTUP);
    await client.until('Z');
  });

  test('a client that is not encrypted is refused where it must be', async () => {
    await start('require');
    const client = await fixture.open();
    client.send(STARTUP);
    expect(errorOf((await client.until('E')).at(-1))).toMatch('FATAL 28000');
  });

  test('a client that is not encrypted is served where it may be', async () => {
    await start();
    await (await fixture.asking()).until('Z');
  });

  test('that is begun at once without naming the protocol is refused', async () => {
    await start();
    const client = fixture.keep(await Peer.secured(fixture.port));
    client.send(STARTUP);
    expect(errorOf((await client.until('E')).at(-1))).toMatch('FATAL 08P01');
  });

  test('for another protocol is refused', async () => {
    await start();
    await expect(Peer.secured(fixture.port, { ALPNProtocols: ['http/1.1'] })).rejects.toThrow();
  });

  test.each(['ended', 'broken'] as const)('a compute’s connection that is %s', async (how) => {
    await start();
    const client = fixture.keep(await Peer.secured(await asked()));
    client.send(STARTUP);
    await client.until('Z');
    const socket = fixture.compute.sessions[0]?.peer.socket;
    if (how === 'ended') socket?.end('farewell');
    else socket?.resetAndDestroy();
    const rest = await client.rest();
    expect({ rest: rest.toString(), ending: client.ending }).toEqual(
      how === 'ended' ? { rest: 'farewell', ending: 'ended' } : { rest: '', ending: 'reset' },
    );
    await fixture.expectClean();
  });

  test('a slow client holds its compute back', async () => {
    await start();
    fixture.compute.play = ({ peer }) => {
      peer.send(WELCOME);
      peer.socket.write(Buffer.alloc(50_000_000, 'x'));
    };
    const client = fixture.keep(await Peer.secured(await asked()));
    client.send(STARTUP);
    await client.until('Z');
    client.socket.pause();
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(fixture.gateway.bytesHeld).toBeLessThan(6 * 64 * 1024);
    client.socket.resume();
    expect((await client.bytes(50_000_000)).length).toBe(50_000_000);
  });
});

describe('whoever attacks', () => {
  test.each([
    ['plain bytes behind SSLRequest', Buffer.concat([SSL_REQUEST, STARTUP])],
    ['plain bytes behind GSSENCRequest', Buffer.concat([GSSENC_REQUEST, STARTUP])],
  ])('%s: nothing of it is heard', async (_name, bytes) => {
    await start();
    const client = await fixture.open();
    client.send(bytes);
    expect(errorOf((await client.until('E')).at(-1))).toMatch('FATAL 08P01 received unencrypted data');
    await client.rest();
    await fixture.expectClean();
    expect(fixture.host.opened).toEqual([]);
  });

  test.each([
    ['garbage behind S', async () => (await asked()).send('garbage, and enough of it to fill a record')],
    ['a start-up packet behind S', async () => (await asked()).send(STARTUP)],
    ['half a hello', async () => (await fixture.open()).send('\x16\x03\x01\0')],
    ['a hello of garbage', async () => (await fixture.open()).send('\x16\x03\x01', Buffer.alloc(500))],
    ['leaving amid the handshake', async () => (await asked()).socket.destroy()],
    ['silence behind S', async () => void (await asked())],
  ])('%s ends that connection only', async (_name, attack) => {
    await start('allow', { settings: { handshakeTimeoutMs: 500 } });
    await attack();
    await vi.waitFor(() => expect(fixture.gateway.counters.connectionsTotal).toBe(1));
    await fixture.expectClean();
    expect(fixture.host.opened).toEqual([]);
    const client = fixture.keep(await Peer.secured(await asked()));
    client.send(STARTUP);
    await client.until('Z');
  });
});

test('shutting down does not wait for a client that is silent amid its TLS hello', async () => {
  await start('allow', { settings: { handshakeTimeoutMs: 60_000 } });
  const client = await asked();
  await vi.waitFor(() => expect(fixture.gateway.counters.connectionsOpen).toBe(1));
  await fixture.gateway.close();
  await client.rest();
});

test('what is no certificate is refused', async () => {
  const tls = { policy: 'allow', key: 'key', cert: 'cert' } as const;
  const options = { host: fixture.host, listen: { host: '127.0.0.1', port: 0 }, tls };
  await expect(Gateway.start(options)).rejects.toMatchObject({ code: 'invalid_argument' });
});
