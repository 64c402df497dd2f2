import { describe, expect, test } from 'vitest';
import { formatLsn, LSN_MAX, parseLsn, toLsn } from './lsn.js';

describe('an LSN', () => {
  test.each([
    ['0/0', 0n, '0/0'],
    ['0/16B5A50', 0x16b5a50n, '0/16B5A50'],
    ['0/16b5a50', 0x16b5a50n, '0/16B5A50'],
    ['00000001/00000002', 0x1_0000_0002n, '1/2'],
    ['FFFFFFFF/FFFFFFFF', LSN_MAX, 'FFFFFFFF/FFFFFFFF'],
  ])('%s is read and written', (text, value, written) => {
    expect(parseLsn(text)).toBe(value);
    expect(formatLsn(parseLsn(text))).toBe(written);
  });

  test.each(['', '/', '0', '0/', '/0', '0/123456789', '-1/0', '0x1/0', ' 0/1', '0/1 ', '0/1\n', '0/G'])(
    '%j is refused',
    (text) => {
      expect(() => parseLsn(text)).toThrow(
        expect.objectContaining({ code: 'invalid_argument', kind: 'fix' }),
      );
    },
  );

  test.each([-1n, LSN_MAX + 1n])('%s does not fit', (value) => {
    expect(() => toLsn(value)).toThrow('64 bits');
  });
});
