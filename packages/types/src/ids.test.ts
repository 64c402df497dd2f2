import { describe, expect, test } from 'vitest';
import { parseTenantId, parseTimelineId, randomTenantId, randomTimelineId } from './ids.js';

const digits = '0123456789abcdef0123456789abcdef';

describe.each([
  ['tenant', parseTenantId, randomTenantId],
  ['timeline', parseTimelineId, randomTimelineId],
])('a %s id', (_what, parse, random) => {
  test('is 32 digits, lower case inside', () => {
    expect(parse(digits)).toBe(digits);
    expect(parse(digits.toUpperCase())).toBe(digits);
  });

  test.each(['', digits.slice(1), `${digits}0`, `${digits}\n`, digits.replace('0', 'g'), `${digits}-0000`])(
    'refuses %j',
    (text) => {
      expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
    },
  );

  test('comes from the source of randomness that is given', () => {
    expect(random((count) => new Uint8Array(count).fill(0xa5))).toBe('a5'.repeat(16));
    expect(() => random(() => new Uint8Array(3))).toThrow('3 bytes');
  });

  test('is random by default', () => {
    expect(parse(random())).not.toBe(random());
  });
});
