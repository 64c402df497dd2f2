import { expect, test } from 'vitest';
import { parseHistory } from './gc.js';

test.each([
  ['90s', 90],
  ['30m', 1800],
  ['12h', 43_200],
  ['7d', 604_800],
  ['all', 0],
  ['default', null],
])('history of %s', (text, value) => expect(parseHistory(text)).toEqual({ value }));

test.each(['', '7', '0d', '-1h', '1.5h', '1w', 'none', '999999999d'])('%j is no such time', (text) => {
  expect(() => parseHistory(text)).toThrow('write a time like 90s, 30m, 12h or 7d, or all, or default');
});
