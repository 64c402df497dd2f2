import { describe, expect, test } from 'vitest';
import {
  parseBind,
  parseCopyFail,
  parseDescribe,
  parseExecute,
  parseParse,
  parsePassword,
  parseQuery,
} from './frontend-messages.js';

const body = (text: string) => Buffer.from(text, 'latin1');

test.each([
  ['Query', parseQuery, 'set x\0', 'set x'],
  ['Parse', parseParse, 's1\0set x\0\0\0', 'set x'],
  ['Describe', parseDescribe, 'S\0', undefined],
  ['Bind', parseBind, '\0s1\0\0\0\0\0\0\0', undefined],
  ['Bind with a result format', parseBind, '\0s1\0\0\x01\0\0\0\0\0\x01\0\x01', undefined],
  ['Execute', parseExecute, '\0\0\0\0\0', undefined],
  ['PasswordMessage', parsePassword, 'secret\0', 'secret'],
  ['CopyFail', parseCopyFail, 'no\0', 'no'],
] as const)('%s is read', (_name, parse, text, expected) => {
  expect(parse(body(text))).toEqual(expected);
});

describe.each([
  ['Query without end', parseQuery, 'set', 'protocol_violation'],
  ['empty Query', parseQuery, '', 'protocol_violation'],
  ['Parse without count', parseParse, '\0set\0\0', 'protocol_violation'],
  ['Parse with a parameter', parseParse, '\0set\0\0\x01\0\0\0\0', 'protocol_unsupported'],
  ['Describe of nothing', parseDescribe, '', 'protocol_violation'],
  ['Describe of a portal', parseDescribe, 'P\0', 'protocol_unsupported'],
  ['Bind to a named portal', parseBind, 'p\0\0\0\0\0\0\0\0', 'protocol_unsupported'],
  ['Bind with a parameter', parseBind, '\0\0\0\0\0\x01\0\0\0\0', 'protocol_unsupported'],
  ['Bind with formats that are not there', parseBind, '\0\0\xff\xff', 'protocol_violation'],
  ['Execute of a named portal', parseExecute, 'p\0\0\0\0\0', 'protocol_unsupported'],
  ['Execute in portions', parseExecute, '\0\0\0\0\x05', 'protocol_unsupported'],
  ['Execute without limit', parseExecute, '\0\0\0', 'protocol_violation'],
] as const)('%s', (_name, parse, text, code) => {
  test('is refused', () => {
    expect(() => parse(body(text))).toThrow(expect.objectContaining({ code }));
  });
});
