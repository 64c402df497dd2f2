import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openDataDirectory } from './data-directory.js';

const same = { name: 'me', uid: 1000, gid: 1000, kind: 'same' } as const;
const other = { ...same, kind: 'other' } as const;
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'offshoot-data-'));
});

afterEach(() => rmSync(root, { recursive: true }));

test.each([
  [same, 0o700],
  [other, 0o711],
])('a new one is made for %j', async (user, mode) => {
  await openDataDirectory(join(root, 'a', 'b'), user);
  expect(statSync(join(root, 'a', 'b')).mode & 0o777).toBe(mode);
});

test('an empty one and a page server\u2019s are taken as they are', async () => {
  await openDataDirectory(root, same);
  mkdirSync(join(root, 'catalog'));
  writeFileSync(join(root, 'notes'), '');
  await openDataDirectory(root, same);
});

test('a directory of other things, and a file, are refused', async () => {
  writeFileSync(join(root, 'thesis.txt'), '');
  await expect(openDataDirectory(root, same)).rejects.toThrow(/other things/);
  await expect(openDataDirectory(join(root, 'thesis.txt'), same)).rejects.toThrow(/thesis\.txt/);
});
