import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StartupExchange } from './startup-exchange.js';
import { AUTHENTICATION_OK, frame, KEY, READY, WELCOME } from './testing/messages.js';

const OURS = frame('K', '\0\0\0\x07ours');
const SASL = frame('R', '\0\0\0\x0aSCRAM-SHA-256\0\0');
const SASL_CONTINUE = frame('R', '\0\0\0\x0br=…');
const SASL_FINAL = frame('R', '\0\0\0\x0cv=…');
const ERROR = frame('E', 'SFATAL\0C28P01\0Mno\0\0');

function exchange() {
  const keys: string[] = [];
  const session = new StartupExchange((processId, secret) => {
    keys.push(`${processId} ${Buffer.from(secret).toString('latin1')}`);
    return OURS;
  });
  return { session, keys };
}

const passed = (session: StartupExchange, ...chunks: Buffer[]) =>
  Buffer.concat(chunks.flatMap((chunk) => session.push(chunk)));

test('the key is replaced, and all else passes', () => {
  const { session, keys } = exchange();
  const rows = Buffer.from('whatever follows, KEY or not');
  const got = passed(session, Buffer.concat([SASL, SASL_CONTINUE, SASL_FINAL, WELCOME, rows]));
  expect(keys).toEqual(['7 key!']);
  expect(session.state).toBe('ready');
  const welcome = Buffer.concat([AUTHENTICATION_OK, frame('S', 'a\0b\0'), OURS, READY]);
  expect(got).toEqual(Buffer.concat([SASL, SASL_CONTINUE, SASL_FINAL, welcome, rows]));
});

test('chunks may be cut anywhere', () => {
  const whole = Buffer.concat([SASL, frame('N', 'x'.repeat(300)), WELCOME, Buffer.from('tail')]);
  fc.assert(
    fc.property(fc.array(fc.nat(whole.length)), (cuts) => {
      const { session } = exchange();
      const places = [0, ...cuts.sort((a, b) => a - b), whole.length];
      const chunks = places.slice(1).map((end, index) => whole.subarray(places[index], end));
      const expected = Buffer.from(
        whole.toString('latin1').replace(KEY.toString('latin1'), OURS.toString('latin1')),
        'latin1',
      );
      expect(passed(session, ...chunks).equals(expected)).toBe(true);
      expect(session.state).toBe('ready');
    }),
  );
});

test.each([
  ['a password in clear text', frame('R', '\0\0\0\x03'), 'client'],
  ['md5', frame('R', '\0\0\0\x05salt'), 'client'],
  ['SASL', SASL, 'client'],
  ['SASL going on', SASL_CONTINUE, 'client'],
  ['the end of SASL', SASL_FINAL, 'compute'],
  ['Ok', AUTHENTICATION_OK, 'compute'],
  ['a notice', frame('N', '\0'), 'compute'],
])('after %s it is the turn of the %s', (_name, message, turn) => {
  const { session } = exchange();
  session.push(message as Buffer);
  expect(session.turn).toBe(turn);
  session.clientSpoke();
  expect(session.turn).toBe('compute');
});

test('a large message passes without being gathered', () => {
  const { session } = exchange();
  const message = frame('E', 'x'.repeat(1_000_000));
  expect(passed(session, message.subarray(0, 10)).length).toBe(10);
  expect(session.betweenMessages).toBe(false);
  expect(passed(session, message.subarray(10)).equals(message.subarray(10))).toBe(true);
  expect(session.betweenMessages).toBe(true);
});

test('an error refuses', () => {
  const { session } = exchange();
  expect(passed(session, ERROR)).toEqual(ERROR);
  expect(session.state).toBe('refused');
});

test('keys of other lengths', () => {
  const { session, keys } = exchange();
  passed(session, frame('K', `\0\0\0\x01${'k'.repeat(32)}`));
  expect(keys).toEqual([`1 ${'k'.repeat(32)}`]);
});

describe('what Postgres would not send', () => {
  test.each([
    ['HTTP', Buffer.from('HTTP/1.1 400 Bad Request')],
    ['a row', frame('D', '\0\0')],
    ['a message that is shorter than its length', Buffer.from([0x53, 0, 0, 0, 3])],
    ['a key without a secret', frame('K', '\0\0\0\x01')],
    ['a huge key', frame('K', 'x'.repeat(261))],
  ])('%s', (_name, bytes) => {
    expect(() => exchange().session.push(bytes)).toThrow(
      expect.objectContaining({ code: 'compute_protocol_violation' }),
    );
  });
});

test('arbitrary bytes pass or are refused', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (chunks) => {
      const { session } = exchange();
      try {
        for (const chunk of chunks) session.push(Buffer.from(chunk));
      } catch (error) {
        expect(error).toHaveProperty('code', 'compute_protocol_violation');
      }
    }),
  );
});
