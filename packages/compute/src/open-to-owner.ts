import { chmod } from 'node:fs/promises';
import type { ComputePaths } from './compute-paths.js';
import type { OsUser } from './os-user.js';

/** From now on the OS user can get to its data directory, and nothing there is to be trusted any more. */
export async function openToOwner(paths: ComputePaths, owner: OsUser): Promise<void> {
  if (owner.kind === 'other') await chmod(paths.root, 0o711);
}
