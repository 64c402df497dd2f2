import { randomBytes } from 'node:crypto';
import { chmod, open, readFile, rename, rm } from 'node:fs/promises';
import { baseError } from '@offshoot/types';

const tokenBytes = 32;
const ownerOnly = 0o600;

/** The token in the file, made when the file is not there or empty; its mode is 0600 after that. It stays over restarts. */
export async function openTokenFile(path: string): Promise<string> {
  const present = await readToken(path);
  if (present !== '') {
    await chmod(path, ownerOnly);
    return present;
  }
  const token = randomBytes(tokenBytes).toString('base64url');
  const made = `${path}.new`;
  // Whoever made a file of that name may still have it open.
  await rm(made, { force: true });
  const file = await open(made, 'wx', ownerOnly);
  try {
    await file.writeFile(`${token}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(made, path);
  return token;
}

async function readToken(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return '';
    throw baseError('invalid_argument', `the token file ${path} cannot be read: ${message}`, { cause });
  }
}
