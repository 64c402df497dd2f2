import { describe, expect, test } from 'vitest';
import { isLeftOut, parseArchiveEntry } from './archive-entry.js';

describe('an entry of a base backup', () => {
  test.each([
    [
      { name: 'base/1/', type: 'directory', size: 0 },
      { kind: 'directory', path: 'base/1', size: 0 },
    ],
    [
      { name: 'PG_VERSION', type: 'file', size: 3 },
      { kind: 'file', path: 'PG_VERSION', size: 3 },
    ],
  ])('%j', (header, entry) => {
    expect(parseArchiveEntry(header)).toEqual(entry);
  });

  test.each([
    { name: '/etc/passwd', type: 'file', size: 1 },
    { name: '../x', type: 'file', size: 1 },
    { name: 'base/../../x', type: 'file', size: 1 },
    { name: './x', type: 'file', size: 1 },
    { name: 'base//x', type: 'file', size: 1 },
    { name: '', type: 'directory', size: 0 },
    { name: '..', type: 'directory', size: 0 },
    { name: 'a\0b', type: 'file', size: 1 },
    { name: 'x'.repeat(513), type: 'file', size: 1 },
    { name: 'pg_tblspc/16384', type: 'symlink', size: 0 },
    { name: 'x', type: 'link', size: 0 },
    { name: 'x', type: 'character-device', size: 0 },
    { name: 'x', type: null, size: 0 },
    { name: 'x', type: 'file', size: -1 },
    { name: 'x', type: 'file', size: 2 ** 60 },
  ])('$type $name of $size bytes is refused', (header) => {
    expect(() => parseArchiveEntry(header)).toThrow('the base backup holds');
  });
});

describe('what a clone does not get', () => {
  test.each([
    ['pg_replslot/offshoot/state', true],
    ['pg_replslot', false],
    ['backup_label', true],
    ['recovery.signal', true],
    ['standby.signal', false],
    ['base/1/backup_label', false],
  ])('%s: %s', (path, left) => {
    expect(isLeftOut(path)).toBe(left);
  });
});
