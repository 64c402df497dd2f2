import { closeSync, openSync } from 'node:fs';
import { access, lstat, rm, rmdir } from 'node:fs/promises';
import { startProgram } from '@offshoot/engine';
import { computeError } from './compute-errors.js';

/** Where programs that every Unix has may be. */
const DIRECTORIES = ['/bin', '/usr/bin'];

/** For one that never ends: whoever works as the owner can make files as fast as they are removed. */
export const REMOVAL_TIMEOUT_MS = 60_000;

/** Whose rights a program gets; undefined: ours, which are no more. */
type Rights = { readonly uid: number; readonly gid: number } | undefined;

/**
 * Removes a directory and all that is in it, with no more than its owner's rights: whoever works as that user may put
 * links, and whatever else, in the way of one who may do more. What is not there is no error, and a link is not followed.
 * Throws `directory_not_removed`, at the latest after `timeoutMs`.
 */
export async function removeOwned(directory: string, timeoutMs = REMOVAL_TIMEOUT_MS): Promise<void> {
  const found = await lstat(directory).catch(() => undefined);
  if (found === undefined) return;
  const owner = process.getuid?.() === 0 ? { uid: found.uid, gid: found.gid } : undefined;
  const deadline = AbortSignal.timeout(timeoutMs);
  await run('rm', ['-rf', '--', directory], owner, deadline);
  // The directory itself may be in one that is not the user's.
  if (await isRemoved(directory)) return;
  // Directories that their owner has shut for himself.
  await run('chmod', ['-R', 'u+rwX', '--', directory], owner, deadline);
  await run('rm', ['-rf', '--', directory], owner, deadline);
  if (await isRemoved(directory)) return;
  throw computeError(
    'directory_not_removed',
    deadline.aborted
      ? `${directory} was not emptied within ${timeoutMs} ms`
      : `${directory} cannot be emptied: something is still at work there`,
  );
}

async function isRemoved(directory: string): Promise<boolean> {
  try {
    await rmdir(directory);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return true;
    if (code === 'ENOTEMPTY' || code === 'EEXIST') return false;
    // A link, say, in the directory's place.
    if (code === 'ENOTDIR') {
      await rm(directory, { force: true });
      return true;
    }
    throw error;
  }
}

/** Its exit code says nothing: what is left says it. Killed at the deadline, and not waited for any longer. */
async function run(
  name: string,
  args: readonly string[],
  owner: Rights,
  deadline: AbortSignal,
): Promise<void> {
  if (deadline.aborted) return;
  const output = openSync('/dev/null', 'w');
  try {
    const { pid, ended } = await startProgram({
      path: await pathOf(name),
      arguments: args,
      environment: {},
      workingDirectory: '/',
      user: owner,
      output,
    });
    await unlessLate(ended, deadline, () => process.kill(pid, 'SIGKILL'));
  } finally {
    closeSync(output);
  }
}

function unlessLate(ended: Promise<unknown>, deadline: AbortSignal, kill: () => void): Promise<void> {
  return new Promise((resolve) => {
    const late = () => {
      kill();
      resolve();
    };
    deadline.addEventListener('abort', late, { once: true });
    // It may be gone, and its id another's, from then on.
    void ended.then(() => {
      deadline.removeEventListener('abort', late);
      resolve();
    });
    if (deadline.aborted) late();
  });
}

async function pathOf(name: string): Promise<string> {
  for (const directory of DIRECTORIES) {
    const path = `${directory}/${name}`;
    if (
      await access(path).then(
        () => true,
        () => false,
      )
    )
      return path;
  }
  return `${DIRECTORIES[0]}/${name}`;
}
