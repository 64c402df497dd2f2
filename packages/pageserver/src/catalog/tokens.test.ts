import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Catalog } from './catalog.js';
import type { TokenId, TokenRecord } from './records.js';

let dir: string;
let catalog: Catalog;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'offshoot-tokens-'));
  catalog = Catalog.open(dir);
});

afterEach(async () => {
  await catalog.close();
  rmSync(dir, { recursive: true });
});

function token(name: string): TokenRecord {
  return {
    id: Buffer.from(name.padEnd(16)).toString('hex') as TokenId,
    name,
    scope: 'read',
    secretHash: 'h',
    createdAt: '2026-01-01T00:00:00.000Z',
    createdBy: { token: 'daemon', name: 'daemon' },
  };
}

test('what was added is there after a restart, what was removed is not', async () => {
  await catalog.tokens.add(token('a'), 10);
  await catalog.tokens.add(token('b'), 10);
  await catalog.tokens.remove('a');
  await catalog.close();
  catalog = Catalog.open(dir);
  expect(catalog.tokens.all()).toEqual([token('b')]);
  expect(catalog.tokens.named(token('b').id)).toEqual(catalog.tokens.named('b'));
});

test('names are taken once, and there are so many', async () => {
  await catalog.tokens.add(token('a'), 2);
  await expect(catalog.tokens.add(token('a'), 2)).rejects.toMatchObject({ code: 'token_exists' });
  await catalog.tokens.add(token('b'), 2);
  await expect(catalog.tokens.add(token('c'), 2)).rejects.toMatchObject({ code: 'tokens_exhausted' });
});

test('a use is written down, not of what is gone', async () => {
  await catalog.tokens.add(token('a'), 2);
  const at = '2026-02-01T00:00:00.000Z';
  await catalog.tokens.recordUse(new Map([token('a'), token('b')].map(({ id }) => [id, at])));
  expect(catalog.tokens.all()).toEqual([{ ...token('a'), lastUsedAt: at }]);
});
