import type { OsUser } from './os-user.js';
import { readPostmasterPid } from './postmaster-pid.js';
import { killProcessesOf } from './process-table.js';
import { removeSharedMemory } from './shared-memory.js';

/**
 * Kills all of Postgres in a data directory, with what it has started, and removes its memory; answers the ids of the
 * processes killed.
 */
export async function endProcesses(dataDirectory: string, owner: OsUser): Promise<number[]> {
  // Read before: what is left of the file afterwards nobody knows.
  const memory = (await readPostmasterPid(dataDirectory))?.sharedMemory;
  const killed = await killProcessesOf(dataDirectory);
  if (memory !== undefined) {
    await removeSharedMemory(memory, owner.uid);
  }
  return killed;
}
