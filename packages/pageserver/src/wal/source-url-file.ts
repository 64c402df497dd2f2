import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { importError } from '../import/import-errors.js';

const OWNER_ONLY = 0o600;

/** Holds what the catalog must not: the connection string with its password. */
function pathIn(tenantDir: string): string {
  return join(tenantDir, 'source-url');
}

/** Keeps the connection string as it was given, for this daemon's user alone. Durable when it resolves. */
export async function keepSourceUrl(tenantDir: string, url: string): Promise<void> {
  const path = pathIn(tenantDir);
  const file = await open(`${path}.new`, 'wx', OWNER_ONLY);
  try {
    await file.writeFile(`${url}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  const directory = await open(tenantDir, 'r');
  await directory.sync().finally(() => directory.close());
}

/** The string kept. Throws `source_url_invalid` when there is none, which says nothing of its content. */
export async function readSourceUrl(tenantDir: string): Promise<string> {
  try {
    return (await readFile(pathIn(tenantDir), 'utf8')).trim();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw importError(
      'source_url_invalid',
      `the connection string of the source cannot be read: ${pathIn(tenantDir)}: ${code}`,
      { cause },
    );
  }
}
