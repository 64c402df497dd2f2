import { describe, expect, test } from 'vitest';
import { parseRoleName, roleNameFor } from './role-name.js';

describe('a name of a role', () => {
  test.each(['agent', 'Agent 7', 'o\'neil"s', 'a@example.com', '$', 'a'.repeat(63)])('may be %s', (name) => {
    expect(parseRoleName(name)).toBe(name);
  });

  test.each([
    ['', /1 to 63/],
    ['a'.repeat(64), /1 to 63/],
    ['caf\u00e9', /ASCII/],
    ['a\nb', /control/],
    ['a\0', /control/],
    [' a', /space/],
    ['pg_agent', /Postgres/],
    ['public', /reserved/],
    ['none', /reserved/],
  ])('may not be %j', (name, why) => {
    expect(() => parseRoleName(name)).toThrow(why);
  });
});

test.each([
  ['try-1', /^try_1_[0-9a-f]{6}$/],
  ['2026.11', /^b_2026_11_[0-9a-f]{6}$/],
  ['pg-test', /^b_pg_test_[0-9a-f]{6}$/],
  ['a'.repeat(63), /^a{40}_[0-9a-f]{6}$/],
])('made up for branch %s', (branch, expected) => {
  const name = roleNameFor(branch);
  expect(parseRoleName(name)).toMatch(expected);
  expect(roleNameFor(branch)).not.toBe(name);
});
