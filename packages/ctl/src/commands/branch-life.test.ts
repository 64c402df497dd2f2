import type { Branch } from '@offshoot/client';
import { describe, expect, test } from 'vitest';
import { branchTree, treeText } from './branch-tree.js';
import { parseDuration, parseLabel, parseTime } from './life-options.js';

describe('how long a branch lives', () => {
  test.each([
    ['90', 90],
    ['90s', 90],
    ['30m', 1800],
    ['2h', 7200],
    ['1h30m', 5400],
    ['7d', 604_800],
    ['1w', 604_800],
  ])('%s is %i seconds', (text, seconds) => expect(parseDuration(text)).toBe(seconds));

  test.each(['', '0', '0h', '-1h', '1.5h', '2 h', 'h', '1h30', '2y', 'never'])('%j is none', (text) => {
    expect(() => parseDuration(text)).toThrow(/write a time like/);
  });

  test.each([
    ['2026-11-21T12:00:00Z', '2026-11-21T12:00:00.000Z'],
    ['2026-11-21 12:00+01', '2026-11-21T11:00:00.000Z'],
    ['2026-11-21 12:00:30.5 -0330', '2026-11-21T15:30:30.500Z'],
    ['2026-11-21 12:00', '2026-11-21T12:00:00.000Z'],
  ])('%s is %s', (text, time) => expect(parseTime(text)).toBe(time));

  test.each(['2026-11-21', '12:00', '2026-13-21 12:00', 'tomorrow', '-5m'])('%j is no time', (text) => {
    expect(() => parseTime(text)).toThrow(/write a time like/);
  });
});

test('labels are gathered, and may hold what they are written with', () => {
  expect(parseLabel('b=1=2', parseLabel('a='))).toEqual({ a: '', b: '1=2' });
  expect(() => parseLabel('=x')).toThrow(/NAME=VALUE/);
});

describe('the tree of branches', () => {
  const branch = (name: string, parent?: string, more: Partial<Branch> = {}) =>
    ({
      name,
      parent,
      base_lsn: '0/1',
      compute: 'stopped',
      state: 'active',
      protected: false,
      ...more,
    }) as Branch;

  test('is drawn by name on each level', () => {
    const branches = [
      branch('b', 'prod', { protected: true }),
      branch('prod'),
      branch('a2', 'a'),
      branch('a', 'prod', { compute: 'running' }),
      branch('a1', 'a', { state: 'expired', expires_at: '2026-01-01T00:00:00Z' }),
      branch('x', 'a1'),
    ];
    expect(treeText(branchTree(branches)).split('\n')).toEqual([
      'prod  0/1',
      '├─ a  0/1, running',
      '│  ├─ a1  0/1, expired 2026-01-01T00:00:00Z',
      '│  │  └─ x  0/1',
      '│  └─ a2  0/1',
      '└─ b  0/1, protected',
    ]);
    expect(treeText(branchTree(branches, 'a1')).split('\n')).toHaveLength(2);
    expect(branchTree(branches, 'nothing')).toEqual([]);
  });

  test('may be very deep', () => {
    const deep = Array.from({ length: 20_000 }, (_, at) =>
      branch(`b${at}`, at === 0 ? undefined : `b${at - 1}`),
    );
    expect(branchTree(deep)).toHaveLength(1);
  });
});
