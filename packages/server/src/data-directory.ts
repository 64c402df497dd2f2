import { chmod, mkdir, readdir, stat } from 'node:fs/promises';
import type { OsUser } from '@offshoot/compute';
import { baseError } from '@offshoot/types';

/** Of these a data directory has one from its first moment on. */
const marks = new Set(['lock', 'catalog', 'tenants']);

/**
 * Makes the data directory, or accepts one that is there: empty, or a page server's. Another user passes through a
 * made one and cannot list; the files below that matter are for the daemon's user alone. Throws `invalid_argument`.
 */
export async function openDataDirectory(path: string, osUser: OsUser): Promise<void> {
  const made = await mkdir(path, { recursive: true, mode: 0o755 }).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw baseError('invalid_argument', `the data directory ${path} cannot be made: ${why}`, { cause });
  });
  if (made !== undefined) {
    await chmod(path, osUser.kind === 'other' ? 0o711 : 0o700);
    return;
  }
  if (!(await stat(path)).isDirectory()) {
    throw baseError('invalid_argument', `--data ${path} is not a directory`);
  }
  const names = await readdir(path);
  if (names.length > 0 && !names.some((name) => marks.has(name))) {
    throw baseError(
      'invalid_argument',
      `--data ${path} holds other things than a page server's data; name an empty directory, or a new one`,
    );
  }
}
