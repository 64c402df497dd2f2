import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openTokenFile } from './token-file.js';

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'offshoot-token-'));
  path = join(directory, 'token');
});

afterEach(() => rmSync(directory, { recursive: true }));

test('a token is made once, for its owner alone, and stays', async () => {
  const token = await openTokenFile(path);
  expect(token.length).toBeGreaterThanOrEqual(40);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(await openTokenFile(path)).toBe(token);
});

test('one that others can read is closed to them again', async () => {
  writeFileSync(path, 'known\n', { mode: 0o644 });
  expect(await openTokenFile(path)).toBe('known');
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('what is there and cannot be read is left alone', async () => {
  mkdirSync(path);
  await expect(openTokenFile(path)).rejects.toMatchObject({ message: expect.stringContaining(path) });
});

test('an empty file, as a crash may leave it, is no token', async () => {
  writeFileSync(path, '');
  expect(await openTokenFile(path)).not.toBe('');
});
