import { describe, expect, test } from 'vitest';
import { parseBranchName, parseTenantName } from './names.js';

describe.each([
  ['branch', parseBranchName],
  ['tenant', parseTenantName],
])('the name of a %s', (_what, parse) => {
  test.each(['a', '0', 'main', 'agent-7.try_2', 'x'.repeat(63)])('%j is taken', (text) => {
    expect(parse(text)).toBe(text);
  });

  test.each(['', '-a', '.a', '_a', 'A', 'a b', 'a/b', 'ä', 'a\n', 'x'.repeat(64), '..'])(
    '%j is refused',
    (text) => {
      expect(() => parse(text)).toThrow(
        expect.objectContaining({ code: 'invalid_argument', httpStatus: 400 }),
      );
    },
  );
});
