import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { keepSourceUrl, readSourceUrl } from './source-url-file.js';

test('keeps a connection string for its owner alone', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'offshoot-url-'));
  try {
    await expect(readSourceUrl(dir)).rejects.toMatchObject({ code: 'source_url_invalid' });
    const url = 'postgres://alice:secret@db/shop?sslmode=verify-full';
    await keepSourceUrl(dir, url);
    expect(await readSourceUrl(dir)).toBe(url);
    expect(readdirSync(dir)).toEqual(['source-url']);
    expect(statSync(join(dir, 'source-url')).mode & 0o777).toBe(0o600);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
