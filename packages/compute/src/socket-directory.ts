import { chown, lstat, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { computeError } from './compute-errors.js';
import type { OsUser } from './os-user.js';
import { removeOwned } from './remove-owned.js';

/** Longest path of a Unix socket, in bytes: 108 with the zero byte at its end (unix(7)). */
const SOCKET_PATH_BYTES_MAX = 107;

/** Postgres writes a lock file beside its socket, whose name is longer but need not fit. */
export function socketPath(directory: string, port: number): string {
  return join(directory, `.s.PGSQL.${port}`);
}

/** True when a socket in the directory can have an address. */
export function fitsSocket(directory: string, port: number): boolean {
  return Buffer.byteLength(socketPath(directory, port)) <= SOCKET_PATH_BYTES_MAX;
}

/**
 * Where a Postgres named `id` puts its socket: `preferred` if the path is short enough, else a directory for
 * temporary files. The directory is not made yet, so that its name can be recorded first.
 */
export function chooseSocketDirectory(
  preferred: string,
  id: string,
  port: number,
  temporaryDirectories: readonly string[],
): string {
  const candidates = [
    join(preferred, id),
    ...temporaryDirectories.map((directory) => join(directory, temporaryName(id))),
  ];
  const chosen = candidates.find((directory) => fitsSocket(directory, port));
  if (chosen === undefined) {
    throw computeError('path_unreachable', 'no directory has a path short enough for a Unix socket', {
      details: { tried: candidates.join(' '), bytesMax: SOCKET_PATH_BYTES_MAX },
    });
  }
  return chosen;
}

/** Where a socket may go when the preferred place has too long a path; another user may be kept out of $TMPDIR. */
export function temporaryDirectories(owner: OsUser): readonly string[] {
  return owner.kind === 'same' ? [tmpdir(), '/tmp'] : ['/tmp'];
}

function temporaryName(id: string): string {
  return `offshoot-${id}`;
}

/** For the owner alone. A path that is there already is an error: somebody else may have made it. */
export async function makeSocketDirectory(directory: string, owner: OsUser): Promise<void> {
  await mkdir(directory, { mode: 0o700 });
  if (owner.kind === 'other') {
    await chown(directory, owner.uid, owner.gid);
  }
}

/**
 * Removes a socket directory of `id`, if the path has the form and the owner that ours has: the path may come from a
 * record on disk.
 */
export async function removeSocketDirectory(
  directory: string,
  id: string,
  owner: OsUser,
  timeoutMs?: number,
): Promise<void> {
  const name = basename(directory);
  const found = await lstat(directory).catch(() => undefined);
  const ours = name === id || name === temporaryName(id);
  if (!ours || !found?.isDirectory() || (found.uid !== owner.uid && found.uid !== process.getuid?.())) {
    return;
  }
  await removeOwned(directory, timeoutMs);
}
