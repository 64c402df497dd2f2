import { describe, expect, test } from 'vitest';
import { parseBranchAt } from './branch-at.js';
import { formatMicros, parseMoment } from './moment.js';

const NOW = Date.parse('2026-11-21T12:00:00Z');
const shown = (text: string) => {
  const moment = parseMoment(text, NOW);
  return moment && `${formatMicros(moment.micros)} ${moment.zone}`;
};

describe('a moment', () => {
  test.each([
    ['2026-11-21T12:00:00Z', '2026-11-21T12:00:00.000000Z given'],
    ['2026-11-21t12:00:00.5z', '2026-11-21T12:00:00.500000Z given'],
    ['2026-11-21 12:00:00+01', '2026-11-21T11:00:00.000000Z given'],
    ['2026-11-21 12:00:00.123456-03:30', '2026-11-21T15:30:00.123456Z given'],
    ['2026-11-21 12:00:00 +0530', '2026-11-21T06:30:00.000000Z given'],
    ['2026-11-21 12:00:00.123456789 UTC', '2026-11-21T12:00:00.123456Z given'],
    ['2026-11-21 12:00', '2026-11-21T12:00:00.000000Z assumed_utc'],
    ['2024-02-29T23:59:59,000001', '2024-02-29T23:59:59.000001Z assumed_utc'],
    ['-5m', '2026-11-21T11:55:00.000000Z given'],
    ['-1h30m', '2026-11-21T10:30:00.000000Z given'],
    ['-90s', '2026-11-21T11:58:30.000000Z given'],
    ['-1d', '2026-11-20T12:00:00.000000Z given'],
    ['1969-12-31T23:59:59.999999Z', '1969-12-31T23:59:59.999999Z given'],
  ])('%s', (text, expected) => expect(shown(text)).toBe(expected));

  test.each([
    '2026-11-21',
    '12:00:00',
    '2026-02-30T12:00:00Z',
    '2026-13-01T12:00:00Z',
    '2026-11-21T24:00:01Z',
    '2026-11-21T12:60:00Z',
    '2026-11-21 12:00:00 CET',
    '2026-11-21 12:00:00+16',
    '5m',
    '+5m',
    '-5',
    '-5w',
    '-m',
    '-1.5h',
    'yesterday',
    '',
  ])('is not %j', (text) => expect(shown(text)).toBeUndefined());

  test('beyond the calendar has no date', () => {
    expect(formatMicros(2n ** 63n)).toBe('9223372036854775808 µs');
  });
});

describe('where a branch is to start', () => {
  test.each([
    ['latest', { kind: 'latest' }],
    ['NOW', { kind: 'now' }],
    ['0/16b5A50', { kind: 'lsn', lsn: 0x16b5a50n }],
    ['@before-1', { kind: 'checkpoint', name: 'before-1' }],
    ['1F/0', { kind: 'lsn', lsn: 0x1f_0000_0000n }],
    [' -5m ', { kind: 'time', moment: { micros: BigInt(NOW - 300_000) * 1000n, zone: 'given' } }],
  ])('%j', (text, expected) => expect(parseBranchAt(text, NOW)).toEqual(expected));

  test.each(['', 'newest', '0/', '16B5A50', '0/123456789', '@', '@Checkpoint', '@-x', '2026-11-21'])(
    'is not %j',
    (text) => {
      const refusal = expect.objectContaining({
        code: 'invalid_argument',
        message: expect.stringMatching(/latest, now, an LSN like .*, a time like .*, how long ago, like -5m/),
      });
      expect(() => parseBranchAt(text, NOW)).toThrow(refusal);
    },
  );
});
