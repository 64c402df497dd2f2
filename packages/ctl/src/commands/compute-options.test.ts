import { describe, expect, test } from 'vitest';
import { activityLines } from './activity.js';
import { parseIdleTimeout } from './compute-options.js';

describe('an idle timeout', () => {
  test.each([
    ['300', 300],
    ['90s', 90],
    ['5m', 300],
    ['2h', 7200],
    ['0', 0],
    ['never', 0],
    ['2147483', 2_147_483],
  ])('%s is %i seconds', (text, seconds) => {
    expect(parseIdleTimeout(text)).toBe(seconds);
  });

  test.each(['', '-1', '1.5', '5 m', '1d', 'Never', '2147484', '600h', 'm', '99999999999'])(
    '%j is none',
    (text) => {
      expect(() => parseIdleTimeout(text)).toThrow(/write a time like/);
    },
  );
});

test('how a branch is used, in words', () => {
  expect(activityLines({ state: 'asleep', connections: 0, wakes: 0 })).toEqual([
    'state     asleep',
    'in use    0 connections',
    'wakes     0',
  ]);
  const last_wake = { at: '2026-01-01T00:00:00Z', phases_ms: { park: 0.2, first_query: 41.6, total: 120.4 } };
  const last_connection_at = '2026-01-01T00:01:00Z';
  expect(
    activityLines({ state: 'going_to_sleep', connections: 2, wakes: 3, last_wake, last_connection_at }),
  ).toEqual([
    'state     going to sleep',
    'in use    2 connections, the last at 2026-01-01T00:01:00Z',
    'wakes     3, the last at 2026-01-01T00:00:00Z took 120 ms',
    '          park 0, first query 42 (ms)',
  ]);
});
