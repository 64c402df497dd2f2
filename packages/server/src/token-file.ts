import { randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';

const tokenBytes = 32;

/** The token in the file, made (mode 0600) when the file is not there or empty. It stays over restarts. */
export async function openTokenFile(path: string): Promise<string> {
  const present = await readFile(path, 'utf8').catch(() => '');
  if (present.trim() !== '') return present.trim();
  const token = randomBytes(tokenBytes).toString('base64url');
  await writeFile(`${path}.new`, `${token}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
  return token;
}
