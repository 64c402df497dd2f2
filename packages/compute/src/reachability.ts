import { execFile } from 'node:child_process';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { computeError } from './compute-errors.js';
import { type OsUser, spawnAs } from './os-user.js';

/** What a user must be able to do with a path: enter a directory, read a file, or connect to a socket. */
export type Access = 'enter' | 'read' | 'connect';

const CHECK_TIMEOUT_MS = 10_000;

/** Options of `test` in the shell. */
const shellTest = { enter: '-x', read: '-r', connect: '-w' } as const satisfies Record<Access, string>;

/**
 * The first of the paths to which the user has no such access. The kernel is asked, by a process of that user, so
 * that access lists and mounts count as they do for Postgres.
 */
export async function firstUnreachable(
  user: OsUser,
  paths: readonly string[],
  access: Access,
): Promise<string | undefined> {
  if (user.kind === 'same' && access === 'enter') {
    return undefined;
  }
  const script = `for p; do test ${shellTest[access]} "$p" || { printf %s "$p"; exit 0; }; done`;
  const { stdout } = await promisify(execFile)('/bin/sh', ['-c', script, 'sh', ...paths], {
    ...spawnAs(user),
    cwd: '/',
    env: {},
    timeout: CHECK_TIMEOUT_MS,
  });
  return stdout === '' ? undefined : stdout;
}

/**
 * Throws `path_unreachable`, naming the directory that stands in the way and the command that mends it, unless the
 * user can enter `directory`.
 */
export async function assertEnterable(user: OsUser, directory: string): Promise<void> {
  const obstacle = await firstUnreachable(user, withAncestors(directory), 'enter');
  if (obstacle !== undefined) {
    const mend = `chmod o+x ${quoteForShell(obstacle)}`;
    throw computeError(
      'path_unreachable',
      `Postgres runs as ${user.name}, who cannot enter ${obstacle}, on the way to ${directory}: ` +
        `use a data directory elsewhere, or run: ${mend}`,
      { details: { user: user.name, path: obstacle, directory, mend } },
    );
  }
}

/** From the root down: `/`, `/a`, `/a/b`. */
export function withAncestors(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [path] : [...withAncestors(parent), path];
}

function quoteForShell(text: string): string {
  return /^[\w/.@%+=:,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
