import { mkdirSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { StatementsFile } from './statements-file.js';

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'offshoot-statements-'));
  mkdirSync(join(dir, 'offshoot'));
});

afterEach(() => rmSync(dir, { recursive: true }));

function write(path: string, words: readonly bigint[]): void {
  const content = Buffer.alloc(16);
  words.forEach((word, at) => {
    content.writeBigUInt64LE(word, 8 * at);
  });
  writeSync(openSync(path, 'r+'), content, 0, 16, 8);
}

test('what was noted is read, and stays when the file is gone', () => {
  const file = StatementsFile.create(dir);
  expect(statSync(file.path)).toMatchObject({ size: 4096 });
  expect(statSync(file.path).mode & 0o777).toBe(0o666);
  expect(file.read()).toEqual({ first: undefined, newest: undefined });
  write(file.path, [1000n, 5000n]);
  expect(file.read()).toEqual({ first: new Date(1000), newest: new Date(5000) });
  write(file.path, [1000n, 6000n]);
  file.close();
  rmSync(file.path);
  file.close();
  expect(file.read().newest).toEqual(new Date(6000));
});

test('what is no time is none', () => {
  const file = StatementsFile.create(dir);
  write(file.path, [2n ** 64n - 1n, 300_000_000_000_000n]);
  expect(file.read()).toEqual({ first: undefined, newest: undefined });
  expect(() => StatementsFile.create(dir)).toThrow('EEXIST');
  file.close();
});
