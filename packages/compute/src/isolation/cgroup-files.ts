import { existsSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export function wordsOf(file: string): string[] {
  return readFileSync(file, 'utf8').split(/\s+/).filter(Boolean);
}

export function processesOf(group: string): number[] {
  try {
    return wordsOf(join(group, 'cgroup.procs')).map(Number);
  } catch {
    return [];
  }
}

export function groupsIn(group: string): string[] {
  return readdirSync(group, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? [entry.name] : [],
  );
}

const LOOK_MS = 10;
/** A killed process may be in the kernel for a while, writing. */
const LOOKS_MAX = 1000;

/** Kills what is in a group and in those below it, and removes them. One that is not there is no error. */
export async function removeGroup(group: string): Promise<void> {
  if (!existsSync(group)) return;
  killGroup(group);
  for (const inner of groupsIn(group)) await removeGroup(join(group, inner));
  for (let look = 0; ; look += 1) {
    try {
      return rmdirSync(group);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === 'ENOENT') return;
      if (code !== 'EBUSY' || look === LOOKS_MAX) throw error;
      // Also kernels without cgroup.kill, where what was being started slipped through.
      killGroup(group);
      await sleep(LOOK_MS);
    }
  }
}

/** All at once, what is being started included; on kernels before 5.14 one by one. */
export function killGroup(group: string): void {
  try {
    writeFileSync(join(group, 'cgroup.kill'), '1', { flag: 'r+' });
  } catch {
    for (const pid of processesOf(group)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has just ended.
      }
    }
  }
}
