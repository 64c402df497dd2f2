import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sqlOfArchive } from '@offshoot/dump';
import { Catalog } from '@offshoot/pageserver';
import { expect, test } from 'vitest';

async function* nothing(): AsyncGenerator<Uint8Array> {}

test('what reads an archive has no file of the page server open', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'offshoot-descriptors-'));
  const path = join(dir, 'pg_restore');
  // The shell's own open files.
  writeFileSync(path, '#!/bin/sh\nfor each in /proc/$$/fd/*; do readlink "$each"; done\nexit 0\n');
  chmodSync(path, 0o755);
  const catalog = Catalog.open(join(dir, 'catalog'));
  try {
    const said: Uint8Array[] = [];
    for await (const piece of sqlOfArchive(nothing(), { path })) said.push(piece);
    const open = Buffer.concat(said).toString();
    expect(open).toContain(path);
    expect(open).not.toContain(join(dir, 'catalog'));
  } finally {
    await catalog.close();
    rmSync(dir, { recursive: true });
  }
});
