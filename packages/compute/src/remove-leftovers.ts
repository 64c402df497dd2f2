import { readFile, rm } from 'node:fs/promises';
import type { ComputePaths } from './compute-paths.js';
import { endProcesses } from './end-processes.js';
import { openToOwner } from './open-to-owner.js';
import type { OsUser } from './os-user.js';
import { killProcessesOf } from './process-table.js';
import { removeOwned } from './remove-owned.js';
import { removeSocketDirectory } from './socket-directory.js';

/**
 * Removes all that a compute has on this machine, save its log. Answers the ids of processes that had to be killed. Throws
 * `directory_not_removed`.
 */
export async function removeLeftovers(
  paths: ComputePaths,
  id: string,
  owner: OsUser,
  /** Its postmaster has waited for its children, or nobody knows. Strays are looked for either way. */
  processes: 'gone' | 'may be left',
  /** Of a directory. */
  timeoutMs?: number,
): Promise<number[]> {
  const { dataDirectory } = paths;
  const killed =
    processes === 'gone' ? await killProcessesOf(dataDirectory) : await endProcesses(dataDirectory, owner);
  const socketDirectory = await readFile(paths.socketRecord, 'utf8').catch(() => '');
  // One that was never used is shut; what is not there any more is removed by nobody.
  await openToOwner(paths, owner).catch(() => undefined);
  await Promise.all([
    removeOwned(dataDirectory, timeoutMs),
    removeSocketDirectory(socketDirectory.trimEnd(), id, owner, timeoutMs),
  ]);
  await rm(paths.socketRecord, { force: true });
  return killed;
}
