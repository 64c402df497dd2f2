import { createHash } from 'node:crypto';
import { CgroupIsolation, groupNameOf } from './cgroup-isolation.js';
import { cgroupSources, ownCgroup } from './cgroup-place.js';
import type { Isolation } from './isolation.js';
import { PriorityIsolation } from './priorities.js';
import type { TroubleListener } from './trouble.js';

/** `auto`: below the group that the daemon is in, if that can be; `off`: none; or the directory of another group. */
export type CgroupChoice = 'auto' | 'off' | { readonly path: string };

export interface OpenIsolationOptions {
  readonly choice: CgroupChoice;
  readonly dataDirectory: string;
  readonly processesMax: number;
  readonly onTrouble?: TroubleListener | undefined;
}

/** Control groups where they can be had, else priorities. Throws only what a chosen group failed with. */
export async function openIsolation(options: OpenIsolationOptions): Promise<Isolation> {
  const { choice, dataDirectory, processesMax, onTrouble } = options;
  if (choice === 'off') return new PriorityIsolation('they are switched off');
  const own = choice === 'auto' ? ownCgroup(cgroupSources()) : choice;
  if ('reason' in own) return new PriorityIsolation(own.reason);
  try {
    const name = groupNameOf(dataDirectory, shortHash);
    return await CgroupIsolation.open({ base: own.path, name, processesMax, onTrouble });
  } catch (error) {
    if (choice !== 'auto') throw error;
    return new PriorityIsolation(error instanceof Error ? error.message : String(error));
  }
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}
