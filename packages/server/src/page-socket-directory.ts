import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { basename } from 'node:path';
import {
  chooseSocketDirectory,
  makeSocketDirectory,
  type OsUser,
  removeSocketDirectory,
  temporaryDirectories,
} from '@offshoot/compute';

/** Names the socket as libpq looks for it: `psql -h DIRECTORY -p 64000`. Neon's page service has this port. */
const port = 64_000;
export const pageSocketName = `.s.PGSQL.${port}`;
const form = /^(?:offshoot-)?(pages-[0-9a-f]{8})$/;

/**
 * Makes the directory of the page service's Unix socket: below `run` if the path is short enough. Only the OS user
 * that runs Postgres and this process' own user can enter it.
 */
export async function makePageSocketDirectory(run: string, osUser: OsUser): Promise<string> {
  await mkdir(run, { recursive: true, mode: osUser.kind === 'other' ? 0o711 : 0o700 });
  const id = `pages-${randomBytes(4).toString('hex')}`;
  const directory = chooseSocketDirectory(run, id, port, temporaryDirectories(osUser));
  await makeSocketDirectory(directory, osUser);
  return directory;
}

/** Removes what `makePageSocketDirectory` made; a path of another form, as a damaged record may hold, is left alone. */
export async function removePageSocketDirectory(directory: string, osUser: OsUser): Promise<void> {
  const id = form.exec(basename(directory))?.[1];
  if (id !== undefined) await removeSocketDirectory(directory, id, osUser);
}
