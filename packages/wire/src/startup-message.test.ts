import { expect, test } from 'vitest';
import { parseStartupMessage, startupMessage } from './startup-message.js';

const parse = (text: string) => parseStartupMessage(0, Buffer.from(text, 'latin1'));

test.each([
  ['none', '\0', []],
  ['one', 'user\0u\0\0', [['user', 'u']]],
  ['an empty value', 'user\0\0\0', [['user', '']]],
  [
    'a name twice',
    'a\x001\0a\x002\0\0',
    [
      ['a', '1'],
      ['a', '2'],
    ],
  ],
  ['bytes that are no UTF-8', 'user\0\xff\xfe\0\0', [['user', '\xff\xfe']]],
])('parameters: %s', (_name, body, parameters) => {
  expect(parse(body)).toEqual({ minorVersion: 0, parameters });
  const packet = startupMessage(parse(body));
  expect(packet.readUInt32BE()).toBe(packet.length);
  expect(packet.subarray(4, 8)).toEqual(Buffer.from([0, 3, 0, 0]));
  expect(packet.subarray(8).toString('latin1')).toBe(body);
});

test.each([
  ['nothing', ''],
  ['no terminator', 'user\0u\0'],
  ['an unfinished value', 'user\0u'],
  ['a name without a value', 'user\0\0'],
  ['bytes behind the terminator', 'user\0u\0\0x'],
  ['parameters behind the terminator', 'user\0u\0\0\0a\0b\0\0'],
])('%s is refused', (_name, body) => {
  expect(() => parse(body)).toThrow(expect.objectContaining({ code: 'protocol_violation' }));
});

test('the minor version is passed on', () => {
  expect(startupMessage({ minorVersion: 2, parameters: [] })).toEqual(
    Buffer.from([0, 0, 0, 9, 0, 3, 0, 2, 0]),
  );
});
