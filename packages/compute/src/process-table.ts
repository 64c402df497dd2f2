import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename, sep } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Process ids of all Postgres processes that work in `directory` or below it. A Postgres process works in its data
 * directory, and its program is named `postgres`; so somebody's shell in that directory is not taken for one.
 */
export async function postgresProcessesUnder(directory: string): Promise<number[]> {
  const entries = await readdir('/proc').catch(() => []);
  const pids = entries.filter((entry) => /^\d+$/.test(entry)).map(Number);
  const found = await Promise.all(
    pids.map(async (pid) => ((await isPostgresUnder(pid, directory)) ? [pid] : [])),
  );
  return found.flat();
}

async function isPostgresUnder(pid: number, directory: string): Promise<boolean> {
  const cwd = await linkTarget(`/proc/${pid}/cwd`);
  if (cwd === undefined || !(cwd === directory || cwd.startsWith(directory + sep))) {
    return false;
  }
  const program = await linkTarget(`/proc/${pid}/exe`);
  return program !== undefined && basename(program) === 'postgres';
}

/** Undefined when there is no such process. */
export async function parentOf(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const [, parent] = /^PPid:\s+(\d+)$/m.exec(status) ?? [];
  return parent === undefined ? undefined : Number(parent);
}

/** Linux marks the name of what was removed. */
async function linkTarget(link: string): Promise<string | undefined> {
  const target = await readlink(link).catch(() => undefined);
  return target?.replace(/ \(deleted\)$/, '');
}

/** One look at the process table after another, this far apart. */
const LOOK_MS = 20;
/** A killed process may be in the kernel for a while, writing; then it is given up. */
const LOOKS_MAX = 500;

/**
 * SIGKILL to all of them, until none is left or the wait is over (10 s). Answers the ids that were killed.
 * `directory` must be a real path, without symbolic links.
 */
export async function killPostgresUnder(directory: string): Promise<number[]> {
  const killed = new Set<number>();
  for (let look = 0; look < LOOKS_MAX; look += 1) {
    const pids = await postgresProcessesUnder(directory);
    if (pids.length === 0) {
      break;
    }
    for (const pid of pids) {
      killed.add(pid);
      sendSignal(pid, 'SIGKILL');
    }
    await sleep(LOOK_MS);
  }
  return [...killed];
}

/** A process that has just ended is no error. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'ESRCH') {
      throw error;
    }
  }
}
