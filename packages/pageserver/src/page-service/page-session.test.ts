import { OffshootError } from '@offshoot/types';
import { describe, expect, test } from 'vitest';
import { pageServiceError } from './page-service-error.js';
import { PageSession, type PageSessionOptions } from './page-session.js';
import { OTHER_TENANT, TENANT, TIMELINE } from './testing/fake-page-source.js';
import {
  CANCEL_REQUEST,
  frame,
  GSSENC_REQUEST,
  packet,
  query,
  SSL_REQUEST,
  STARTUP,
} from './testing/raw-client.js';

const options: PageSessionOptions = {
  auth: 'trust',
  tls: 'none',
  frameBytesMax: 65_536,
  requestsPerCallMax: 100,
  replyBytesPerCallMax: 1_000_000,
};

/** Effects as words: written messages by their types, others by name. */
function effectsOf(session: PageSession): string[] {
  const words: string[] = [];
  for (;;) {
    const effect = session.next(1_000_000);
    if (effect === undefined) {
      return words;
    }
    words.push(effect.do === 'write' ? lettersOf(Buffer.from(effect.bytes)) : nameOf(effect));
    if (effect.do !== 'write') {
      return words;
    }
  }
}

const nameOf = (effect: { do: string; requests?: number }) =>
  effect.requests === undefined ? effect.do : `${effect.do} ${effect.requests}`;

/** Answers to requests for encryption are bytes without a length; N is no message's type, and S comes last. */
function lettersOf(bytes: Buffer): string {
  let letters = '';
  for (let at = 0; at < bytes.length; ) {
    const letter = String.fromCharCode(bytes[at] as number);
    at += letter === 'N' || at === bytes.length - 1 ? 1 : bytes.readUInt32BE(at + 1) + 1;
    letters += letter;
  }
  return letters;
}

function session(changed: Partial<PageSessionOptions> = {}, ...input: Buffer[]): PageSession {
  const made = new PageSession({ ...options, ...changed });
  made.receive(Buffer.concat(input));
  return made;
}

function readySession(...input: Buffer[]): PageSession {
  const made = session({}, STARTUP);
  effectsOf(made);
  made.receive(Buffer.concat(input));
  return made;
}

const tls = { tls: 'required' } as const;
const token = { auth: 'token' } as const;
const hello = Buffer.from([0x16, 3, 1]);
const full = { refusal: pageServiceError('too_many_connections', 'full') };

describe('the handshake', () => {
  const cases: [string, Partial<PageSessionOptions>, Buffer[], string[]][] = [
    ['trust', {}, [STARTUP], ['RSSSZ']],
    ['encryption is declined', {}, [SSL_REQUEST, GSSENC_REQUEST, STARTUP], ['NNRSSSZ']],
    ['encryption is asked for twice', {}, [SSL_REQUEST, SSL_REQUEST], ['NE', 'close']],
    ['cancelling is not done', {}, [CANCEL_REQUEST], ['close']],
    ['garbage', {}, [Buffer.from('GET / HTTP/1.1\r\n\r\n')], ['E', 'close']],
    ['zeros', {}, [Buffer.alloc(100)], ['E', 'close']],
    ['half a packet', {}, [STARTUP.subarray(0, 20)], []],
    ['a TLS hello where there is no TLS', {}, [hello, Buffer.alloc(20)], ['E', 'close']],
    ['a token', token, [STARTUP, frame('p', 'secret\0')], ['R', 'check-token']],
    ['another message instead of a token', token, [STARTUP, query('set x')], ['RE', 'close']],
    ['a goodbye instead of a token', token, [STARTUP, frame('X')], ['R', 'close']],
    ['a token without its end', token, [STARTUP, frame('p', 'secret')], ['RE', 'close']],
    ['a huge token', token, [STARTUP, Buffer.from('p\x7f\xff\xff\xff', 'latin1')], ['RE', 'close']],
    ['TLS asked for', tls, [SSL_REQUEST], ['S']],
    ['TLS asked for after GSS', tls, [GSSENC_REQUEST, SSL_REQUEST], ['NS']],
    ['plain bytes behind the request for TLS', tls, [SSL_REQUEST, STARTUP], ['E', 'close']],
    ['TLS at once', tls, [hello], ['start-tls']],
    ['no TLS where it is required', tls, [STARTUP], ['E', 'close']],
    ['too many connections', full, [SSL_REQUEST, STARTUP], ['NE', 'close']],
  ];
  test.each(cases)('%s', (_name, changed, input, expected) => {
    expect(effectsOf(session(changed, ...input)).join(' ')).toBe(expected.join(' '));
    // Byte by byte, output comes in more pieces, but it is the same. Bytes behind SSLRequest are not, then.
    if (_name !== 'plain bytes behind the request for TLS') {
      const slow = session(changed);
      const words: string[] = [];
      for (const byte of Buffer.concat(input)) {
        slow.receive(Buffer.of(byte));
        words.push(...effectsOf(slow));
      }
      const joined = (effects: string[]) =>
        effects
          .filter((word) => word !== '')
          .join('')
          .replaceAll(' ', '');
      expect(joined(words).startsWith(joined(expected))).toBe(true);
    }
  });

  test('goes on inside TLS', () => {
    const secure = session(tls, SSL_REQUEST);
    effectsOf(secure);
    secure.receive(hello);
    expect(secure.next(1)).toEqual({ do: 'start-tls', unread: hello });
    secure.tlsStarted();
    secure.receive(STARTUP);
    expect(effectsOf(secure)).toEqual(['RSSSZ']);
  });

  test('ends by the token', () => {
    for (const [scope, expected] of [
      ['all-tenants', ['RSSSZ']],
      [undefined, ['E', 'close']],
    ] as const) {
      const waiting = session(token, STARTUP, frame('p', 'secret\0'));
      effectsOf(waiting);
      waiting.tokenChecked(scope);
      expect(effectsOf(waiting)).toEqual(expected);
    }
  });
});

const stream = `pagestream_v3 ${TENANT} ${TIMELINE}`;
const backup = `basebackup ${TENANT} ${TIMELINE}`;
const parse = (text: string) => frame('P', `\0${text}\0\0\0`);
const describeStatement = frame('D', 'S\0');
const bind = frame('B', '\0\0\0\0\0\0\0\0');
const execute = frame('E', '\0\0\0\0\0');
const sync = frame('S');
const data = frame('d', 'x'.repeat(42));

describe('commands', () => {
  const cases: [string, Buffer[], string[]][] = [
    ['set', [query('set datestyle to iso')], ['CZ']],
    ['an unknown one', [query('show x'), query('set x')], ['EZCZ']],
    ['a query without its end', [frame('Q', 'set'), query('set x')], ['EZCZ']],
    ['a backup', [query(backup)], ['run']],
    ['extended', [parse('set x'), describeStatement, sync, bind, execute, sync], ['1tnZ2CZ']],
    ['extended backup', [parse(backup), describeStatement, sync, bind, execute], ['1tnZ2', 'run']],
    ['a statement executed twice', [parse('set x'), bind, execute, bind, execute, sync], ['12C2CZ']],
    ['closing a statement', [frame('C', 'S\0'), sync], ['3Z']],
    ['nothing to execute', [bind, execute, sync], ['2EZ']],
    [
      'an extended error skips to Sync',
      [parse('no'), bind, execute, bind, execute, query('set x'), sync],
      ['12EZ'],
    ],
    ['an unsupported Describe', [parse('set x'), frame('D', 'P\0'), sync, query('set x')], ['1EZCZ']],
    ['left-over copy messages', [data, frame('c'), frame('f', 'x\0'), query('set x')], ['CZ']],
    ['goodbye', [frame('X'), query('set x')], ['close']],
    ['Flush', [frame('H')], ['E', 'close']],
    ['an unasked password', [frame('p', 'x\0')], ['E', 'close']],
    ['2 GB', [Buffer.from('Q\x7f\xff\xff\xff', 'latin1')], ['E', 'close']],
    ['length 0', [Buffer.from('Q\0\0\0\0')], ['E', 'close']],
    ['half a message', [query('set x').subarray(0, 8)], []],
  ];
  test.each(cases)('%s', (_name, input, expected) => {
    expect(effectsOf(readySession(...input))).toEqual(expected);
  });

  test.each([
    ['query', [query(backup)], 'Z'],
    ['execute', [parse(backup), execute], ''],
  ])('what was run by %s is through', (_name, input, expected) => {
    const running = readySession(...input);
    effectsOf(running);
    running.ran();
    expect(effectsOf(running).join('')).toBe(expected);
  });

  const fix = new OffshootError('invalid_argument', 'no');
  const reconnect = pageServiceError('page_service_stopping', 'stop');
  test.each([
    ['query', fix, [query(backup)], ['EZ', 'CZ']],
    ['execute', fix, [parse(backup), execute], ['E', 'ZCZ']],
    ['query', reconnect, [query(backup)], ['E close', '']],
    ['execute', reconnect, [parse(backup), execute], ['E', 'ZCZ']],
  ])('what was run by %s has failed', (manner, error, input, [first, second]) => {
    const running = readySession(...input);
    effectsOf(running);
    running.ran(error);
    expect(effectsOf(running).join(' ')).toBe(first);
    running.receive(Buffer.concat(manner === 'execute' ? [sync, query('set x')] : [query('set x')]));
    expect(effectsOf(running).join(' ')).toBe(second);
  });

  test('a connection is for one tenant', () => {
    const other = query(backup.replace(TENANT, OTHER_TENANT));
    const one = readySession(query(backup));
    effectsOf(one);
    one.ran();
    one.receive(Buffer.concat([other, query(backup)]));
    expect(effectsOf(one)).toEqual(['ZEZ', 'run']);
  });

  test("a token's tenant only", () => {
    const scoped = session(token, STARTUP, frame('p', 'secret\0'));
    effectsOf(scoped);
    scoped.tokenChecked({ tenant: OTHER_TENANT });
    scoped.receive(Buffer.concat([query(stream), query(backup.replace(TENANT, OTHER_TENANT))]));
    expect(effectsOf(scoped)).toEqual(['RSSSZEZ', 'run']);
  });
});

describe('a page stream', () => {
  const cases: [string, Buffer[], string[]][] = [
    ['begins', [query(stream)], ['W']],
    ['serves', [query(stream), data, data, data], ['W', 'serve 3']],
    ['serves whole messages only', [query(stream), data, data.subarray(0, 30)], ['W', 'serve 1']],
    ['waits for a whole message', [query(stream), data.subarray(0, 30)], ['W']],
    ['ends by CopyDone', [query(stream), frame('c'), query('set x')], ['WEZCZ']],
    ['ends by CopyFail', [query(stream), frame('f', 'no\0')], ['WEZ']],
    ['ends by a query, which is not run', [query(stream), query('set x')], ['WEZ']],
    ['ignores Sync', [parse(stream), bind, execute, sync, data], ['12W', 'serve 1']],
    [
      'executed, ends up skipping to Sync',
      [parse(stream), execute, frame('c'), query('set x'), sync],
      ['1WEZ'],
    ],
    ['goodbye', [query(stream), frame('X')], ['W', 'close']],
    ['2 GB', [query(stream), Buffer.from('d\x7f\xff\xff\xff', 'latin1')], ['WE', 'close']],
    ['garbage', [query(stream), Buffer.from('garbage')], ['WE', 'close']],
  ];
  test.each(cases)('%s', (_name, input, expected) => {
    expect(effectsOf(readySession(...input))).toEqual(expected);
  });

  test('what was accepted is answered before an error behind it', () => {
    const serving = readySession(query(stream), data, data, Buffer.from('d\x7f\xff\xff\xff', 'latin1'));
    expect(effectsOf(serving)).toEqual(['W', 'serve 2']);
    serving.served();
    expect(effectsOf(serving)).toEqual(['E', 'close']);
  });

  test('after an error is back in command mode, and requests on their way are dropped', () => {
    const serving = readySession(query(stream), data);
    effectsOf(serving);
    serving.served(new OffshootError('invalid_argument', 'malformed'));
    serving.receive(Buffer.concat([data, data, query('set x')]));
    expect(effectsOf(serving)).toEqual(['EZCZ']);
  });

  test('one call has a bounded number of requests and reply bytes', () => {
    const frames = Buffer.concat(
      Array(250).fill(frame('d', Buffer.concat([Buffer.of(2), Buffer.alloc(41)]))),
    );
    const serving = readySession(query(stream), frames);
    effectsOf(serving);
    const counts: number[] = [];
    for (const replyBytesMax of [1_000_000, 16_500, 1, 1_000_000, 1_000_000]) {
      serving.served();
      const effect = serving.next(replyBytesMax);
      counts.push(effect?.do === 'serve' ? effect.requests : 0);
    }
    expect(counts).toEqual([100, 2, 1, 47, 0]);
  });
});

test('random bytes never throw, at any moment', () => {
  let seed = 1;
  const random = () => {
    seed = (seed * 1_103_515_245 + 12_345) % 0x8000_0000;
    return seed;
  };
  const valid = [
    STARTUP,
    query(stream),
    data,
    query('set x'),
    sync,
    execute,
    bind,
    parse(stream),
    packet(1, 'x'),
  ];
  for (let round = 0; round < 2000; round++) {
    const made = round % 2 === 0 ? readySession() : session();
    for (let step = 0; step < 8; step++) {
      const bytes = Buffer.from(valid[random() % valid.length] as Buffer);
      if (random() % 3 === 0) {
        bytes[random() % bytes.length] = random() % 256;
      }
      made.receive(bytes.subarray(0, random() % 4 === 0 ? random() % bytes.length : bytes.length));
      effectsOf(made);
    }
  }
});
