import { readFile, rm } from 'node:fs/promises';
import type { ComputePaths } from './compute-paths.js';
import { endProcesses } from './end-processes.js';
import type { OsUser } from './os-user.js';
import { removeSocketDirectory } from './socket-directory.js';

/**
 * Removes all that a compute has on this machine, save its log. Answers the ids of processes that had to be killed.
 */
export async function removeLeftovers(
  paths: ComputePaths,
  id: string,
  owner: OsUser,
  processes: 'gone' | 'may be left',
): Promise<number[]> {
  const killed = processes === 'gone' ? [] : await endProcesses(paths.dataDirectory, owner);
  const socketDirectory = await readFile(paths.socketRecord, 'utf8').catch(() => '');
  await Promise.all([
    rm(paths.dataDirectory, { recursive: true, force: true }),
    removeSocketDirectory(socketDirectory.trimEnd(), id, owner),
  ]);
  await rm(paths.socketRecord, { force: true });
  return killed;
}
