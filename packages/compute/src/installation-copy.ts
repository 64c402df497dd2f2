import { createHash } from 'node:crypto';
import {
  chmod,
  copyFile,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readlink,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { computeError } from './compute-errors.js';
import type { OsUser } from './os-user.js';
import { assertEnterable } from './reachability.js';

/** What of an installation's prefix is copied: Postgres finds its libraries and data files relative to its program. */
const parts = ['bin', 'lib', 'lib64', 'share'] as const;

/** An installation takes some 60 MB, with every extension a few hundred; more is somebody's whole home. */
const COPY_BYTES_MAX = 2 * 1024 ** 3;

/** Left out: for compiling against, not for running. */
const leftOut = (name: string) => name.endsWith('.a') || name === 'pkgconfig';

/**
 * Copies an installation, once, to where everybody can read it; answers the copy's bindir.
 * Throws `postgres_unusable` when it cannot be moved, `path_unreachable` when the cache cannot be reached either.
 */
export async function copyInstallation(
  bindir: string,
  cacheDirectory: string,
  user: OsUser,
): Promise<string> {
  const prefix = dirname(bindir);
  if (basename(bindir) !== 'bin') {
    throw computeError(
      'postgres_unusable',
      `${user.name}, who is to run Postgres, cannot reach ${bindir}, and a directory not named bin cannot be copied`,
      { details: { bindir, user: user.name } },
    );
  }
  const identity = await identify(join(bindir, 'postgres'));
  const target = join(cacheDirectory, `postgres-${identity}`);
  await copyOnce(cacheDirectory, target, user, async (copy) => {
    let copiedBytes = 0;
    const count = (bytes: number) => {
      copiedBytes += bytes;
      if (copiedBytes > COPY_BYTES_MAX) {
        throw computeError('postgres_unusable', `${prefix} is too large to be copied for ${user.name}`, {
          details: { prefix, bytesMax: COPY_BYTES_MAX },
        });
      }
    };
    for (const part of parts) {
      await copyTree(join(prefix, part), join(copy, part), count);
    }
  });
  return join(target, 'bin');
}

/** Copies one file (the preload library), once per content, to where everybody can read it; answers the copy's path. */
export async function copyForUser(file: string, cacheDirectory: string, user: OsUser): Promise<string> {
  const target = join(cacheDirectory, `file-${await identify(file)}`);
  await copyOnce(cacheDirectory, target, user, (copy) =>
    copyTree(file, join(copy, basename(file)), () => undefined),
  );
  return join(target, basename(file));
}

/** A name that changes when the file is replaced. */
async function identify(file: string): Promise<string> {
  const { size, mtimeMs, ino } = await stat(file);
  return createHash('sha256')
    .update(JSON.stringify([file, size, mtimeMs, ino]))
    .digest('hex')
    .slice(0, 16);
}

/** `fill` writes into a directory that gets its name only when it is complete; two at a time do not meet. */
async function copyOnce(
  cacheDirectory: string,
  target: string,
  user: OsUser,
  fill: (copy: string) => Promise<void>,
): Promise<void> {
  await mkdir(cacheDirectory, { recursive: true, mode: 0o755 });
  await assertEnterable(user, cacheDirectory);
  if (await exists(target)) {
    return;
  }
  const copy = await mkdtemp(join(cacheDirectory, 'copying-'));
  try {
    await fill(copy);
    await chmod(copy, 0o755);
    await rename(copy, target);
  } catch (error) {
    await rm(copy, { recursive: true, force: true });
    if (!(await exists(target))) {
      throw error;
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

async function copyTree(from: string, to: string, count: (bytes: number) => void): Promise<void> {
  const found = await lstat(from).catch(() => undefined);
  if (found?.isDirectory()) {
    await mkdir(to, { mode: 0o755 });
    await chmod(to, 0o755);
    for (const name of await readdir(from)) {
      if (!leftOut(name)) {
        await copyTree(join(from, name), join(to, name), count);
      }
    }
  } else if (found?.isSymbolicLink()) {
    await symlink(await readlink(from), to);
  } else if (found?.isFile()) {
    count(found.size);
    await copyFile(from, to);
    await chmod(to, (found.mode & 0o111) === 0 ? 0o644 : 0o755);
  }
}
