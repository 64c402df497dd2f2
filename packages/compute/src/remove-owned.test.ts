import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeOwned } from './remove-owned.js';

let place: string;

beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'offshoot-remove-'));
});

afterEach(() => rmSync(place, { recursive: true }));

/** So many files that removing them takes longer than a program's start. */
function filled(): string {
  const directory = join(place, 'full');
  mkdirSync(directory);
  for (let n = 0; n < 20_000; n += 1) writeFileSync(join(directory, `${n}`), '');
  return directory;
}

test('a directory that takes too long to empty is given up, and emptied later', async () => {
  const directory = filled();
  const refusal = { code: 'directory_not_removed', message: expect.stringContaining('within 1 ms') };
  await expect(removeOwned(directory, 1)).rejects.toMatchObject(refusal);
  expect(readdirSync(directory).length).toBeGreaterThan(0);
  await removeOwned(directory);
  expect(existsSync(directory)).toBe(false);
});
