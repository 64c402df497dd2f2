import { describe, expect, test } from 'vitest';
import { isAbandoned } from './shared-memory.js';

const table = [
  '       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid',
  '   5432001         22   600                    56     1     2      0   101   104   101   104',
  '   5432002         23   600                    56     1     2      3   101   104   101   104',
  '',
].join('\n');

describe('a segment of shared memory', () => {
  test.each([
    ['nobody uses it', 5432001, 22, 101, true],
    ['it is in use', 5432002, 23, 101, false],
    ['it is another user’s', 5432001, 22, 102, false],
    ['the id was given again', 5432009, 22, 101, false],
    ['it is gone', 5432001, 99, 101, false],
  ])('%s', (_what, key, id, uid, abandoned) => {
    expect(isAbandoned(table, { key, id }, uid)).toBe(abandoned);
  });

  test('no table', () => {
    expect(isAbandoned('', { key: 1, id: 2 }, 0)).toBe(false);
  });
});
