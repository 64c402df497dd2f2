import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ClientHandshake, type HandshakeEffect, type HandshakeOptions } from './client-handshake.js';
import { GSSENC_REQUEST, packet, SSL_REQUEST, startup } from './testing/messages.js';

const STARTUP = startup({ user: 'u', database: 'db@b' });
const HELLO = Buffer.from([0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5]);
const PROTOCOL = { serverName: undefined, protocol: 'postgresql' };

function handshake(options: Partial<HandshakeOptions> = {}): ClientHandshake {
  return new ClientHandshake({ tls: 'allow', sniDomain: undefined, bytesMax: 10_000, ...options });
}

/** Effects in words; TLS starts at once where it is to. */
function words(session: ClientHandshake, ...chunks: Uint8Array[]): string[] {
  const said: string[] = [];
  for (const chunk of chunks) {
    session.receive(Buffer.from(chunk));
    for (let effect = session.next(); effect !== undefined; effect = session.next()) {
      said.push(inWords(effect));
      if (effect.do === 'start-tls') session.tlsStarted(PROTOCOL);
      if (effect.do === 'route' || effect.do === 'cancel') return said;
    }
  }
  return said;
}

function inWords(effect: HandshakeEffect): string {
  switch (effect.do) {
    case 'write':
      return Buffer.from(effect.bytes).toString();
    case 'start-tls':
      return `tls+${effect.unread.length}`;
    case 'cancel':
      return `cancel ${effect.processId} ${Buffer.from(effect.secret).toString()}`;
    case 'route':
      return `${effect.request.branch}+${effect.unread.length}`;
  }
}

test.each<[string, Partial<HandshakeOptions>, Buffer[], string[]]>([
  ['plain', {}, [STARTUP], ['b+0']],
  ['with bytes behind', {}, [Buffer.concat([STARTUP, Buffer.from('abc')])], ['b+3']],
  ['TLS', {}, [SSL_REQUEST, HELLO, STARTUP], ['S', 'tls+10', 'b+0']],
  ['TLS refused', { tls: 'off' }, [SSL_REQUEST, STARTUP], ['N', 'b+0']],
  ['GSS, then plain', {}, [GSSENC_REQUEST, STARTUP], ['N', 'b+0']],
  ['GSS, then TLS', {}, [GSSENC_REQUEST, SSL_REQUEST, HELLO, STARTUP], ['N', 'S', 'tls+10', 'b+0']],
  ['TLS refused, then GSS', { tls: 'off' }, [SSL_REQUEST, GSSENC_REQUEST, STARTUP], ['N', 'N', 'b+0']],
  ['TLS unasked', {}, [HELLO, STARTUP], ['tls+10', 'b+0']],
  ['TLS unasked after GSS', {}, [GSSENC_REQUEST, HELLO, STARTUP], ['N', 'tls+10', 'b+0']],
  ['TLS required', { tls: 'require' }, [SSL_REQUEST, HELLO, STARTUP], ['S', 'tls+10', 'b+0']],
  ['GSS within TLS', {}, [HELLO, GSSENC_REQUEST, STARTUP], ['tls+10', 'N', 'b+0']],
  ['anything goes to TLS once it is promised', {}, [SSL_REQUEST, STARTUP], ['S', `tls+${STARTUP.length}`]],
  ['a cancel request', {}, [packet(80_877_102, '\0\0\0\x07key!')], ['cancel 7 key!']],
  [
    'a plain cancel request where TLS is required',
    { tls: 'require' },
    [packet(80_877_102, '\0\0\0\x07key!')],
    ['cancel 7 key!'],
  ],
])('%s', (_name, options, chunks, expected) => {
  expect(words(handshake(options), ...chunks)).toEqual(expected);
});

describe('refused', () => {
  test.each<[string, Partial<HandshakeOptions>, Buffer[], string]>([
    ['bytes behind SSLRequest', {}, [Buffer.concat([SSL_REQUEST, STARTUP])], 'protocol_violation'],
    ['a hello behind SSLRequest', {}, [Buffer.concat([SSL_REQUEST, HELLO])], 'protocol_violation'],
    [
      'one byte behind SSLRequest',
      {},
      [Buffer.concat([SSL_REQUEST, Buffer.from('x')])],
      'protocol_violation',
    ],
    [
      'bytes behind an SSLRequest that is refused',
      { tls: 'off' },
      [Buffer.concat([SSL_REQUEST, STARTUP])],
      'protocol_violation',
    ],
    ['bytes behind GSSENCRequest', {}, [Buffer.concat([GSSENC_REQUEST, SSL_REQUEST])], 'protocol_violation'],
    ['SSLRequest twice', { tls: 'off' }, [SSL_REQUEST, SSL_REQUEST], 'protocol_violation'],
    ['GSSENCRequest twice', {}, [GSSENC_REQUEST, GSSENC_REQUEST], 'protocol_violation'],
    ['SSLRequest within TLS', {}, [SSL_REQUEST, HELLO, SSL_REQUEST], 'protocol_violation'],
    ['plain where TLS is required', { tls: 'require' }, [STARTUP], 'gateway_tls_required'],
    ['TLS unasked where there is none', { tls: 'off' }, [HELLO], 'protocol_violation'],
    ['TLS within TLS', {}, [HELLO, HELLO], 'protocol_violation'],
    ['HTTP', {}, [Buffer.from('GET / HTTP/1.1\r\n\r\n')], 'protocol_violation'],
    ['protocol 2', {}, [packet(0x20000)], 'protocol_violation'],
    [
      'a packet past the limit',
      { bytesMax: 100 },
      [startup({ user: 'x'.repeat(100) })],
      'protocol_violation',
    ],
    [
      'a packet past Postgres’ limit',
      { bytesMax: 100_000 },
      [startup({ user: 'x'.repeat(10_000) })],
      'protocol_violation',
    ],
    ['a packet without its terminator', {}, [packet(0x30000, 'user\0u\0')], 'protocol_violation'],
    ['an empty packet', {}, [packet(0x30000)], 'protocol_violation'],
    ['no branch', {}, [startup({ user: 'u' })], 'branch_not_named'],
  ])('%s', (_name, options, chunks, code) => {
    expect(() => words(handshake(options), ...chunks)).toThrow(expect.objectContaining({ code }));
  });

  test('TLS that was begun unasked and names no protocol', () => {
    const session = handshake();
    session.receive(HELLO);
    expect(session.next()?.do).toBe('start-tls');
    expect(() => session.tlsStarted({ serverName: undefined, protocol: undefined })).toThrow('postgresql');
  });
});

test('TLS that was asked for needs no protocol, and its host name may name the branch', () => {
  const session = handshake({ sniDomain: 'example.com' });
  expect(words(session, SSL_REQUEST)).toEqual(['S']);
  session.receive(HELLO);
  expect(session.next()?.do).toBe('start-tls');
  expect(session.speechless).toBe(true);
  session.tlsStarted({ serverName: 'b.example.com', protocol: undefined });
  expect(session.speechless).toBe(false);
  expect(words(session, startup({ user: 'u' }))).toEqual(['b+0']);
});

test('chunks may be cut anywhere', () => {
  const whole = Buffer.concat([STARTUP, Buffer.from('query')]);
  fc.assert(
    fc.property(fc.array(fc.nat(whole.length)), (cuts) => {
      const places = [0, ...cuts.sort((a, b) => a - b), whole.length];
      const chunks = places.slice(1).map((end, index) => whole.subarray(places[index], end));
      const [routed] = words(handshake(), ...chunks);
      expect(routed).toMatch(/^b\+[0-5]$/);
    }),
  );
});

test('arbitrary bytes are refused with an error of ours, or waited for, and never kept beyond the limit', () => {
  const head = fc.constantFrom(
    Buffer.alloc(0),
    SSL_REQUEST,
    GSSENC_REQUEST,
    Buffer.from([0, 0, 0, 40, 0, 3, 0, 0]),
  );
  fc.assert(
    fc.property(head, fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 20 }), (first, chunks) => {
      const session = handshake({ tls: 'off', bytesMax: 200 });
      try {
        words(session, first, ...chunks);
      } catch (error) {
        expect(error).toHaveProperty('sqlState');
        return;
      }
      expect(session.inputBytes).toBeLessThan(200);
    }),
    { numRuns: 500 },
  );
});
