import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename, sep } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** What is known of a process that may be a compute's. */
interface ProcessLook {
  readonly pid: number;
  readonly workingDirectory: string | undefined;
  /** Of its program. */
  readonly name: string | undefined;
  /** The data directory that its environment names: whatever a Postgres of ours has started has that. */
  readonly pgdata: string | undefined;
}

/**
 * Process ids of all Postgres processes that work in `directory` or below it. A Postgres process works in its data
 * directory, and its program is named `postgres`; so somebody's shell in that directory is not taken for one.
 */
export async function postgresProcessesUnder(directory: string): Promise<number[]> {
  const processes = await processTable.look();
  return processes.filter((each) => isPostgresUnder(each, directory)).map(({ pid }) => pid);
}

/** Besides these, whatever they have started and left, under any name and anywhere. */
async function processesOf(directory: string): Promise<number[]> {
  const processes = await processTable.look();
  return processes
    .filter((each) => isPostgresUnder(each, directory) || each.pgdata === directory)
    .map(({ pid }) => pid);
}

function isPostgresUnder({ workingDirectory, name }: ProcessLook, directory: string): boolean {
  if (name !== 'postgres' || workingDirectory === undefined) return false;
  return workingDirectory === directory || workingDirectory.startsWith(directory + sep);
}

/** Looks at all processes of the machine, once for all who ask while it has not begun. */
class ProcessTable {
  #running: Promise<unknown> = Promise.resolve();
  #next: Promise<ProcessLook[]> | undefined;

  /** As of a moment after the call. */
  look(): Promise<ProcessLook[]> {
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      const look = lookAtAll();
      this.#running = look;
      return look;
    });
    return this.#next;
  }
}

const processTable = new ProcessTable();

async function lookAtAll(): Promise<ProcessLook[]> {
  const entries = await readdir('/proc').catch(() => []);
  const pids = entries.filter((entry) => /^\d+$/.test(entry)).map(Number);
  const looks = await Promise.all(pids.map(lookAt));
  return looks.filter((look) => look !== undefined);
}

/** Undefined when there is no such process, or it is the kernel's. */
async function lookAt(pid: number): Promise<ProcessLook | undefined> {
  const program = await linkTarget(`/proc/${pid}/exe`);
  if (program === undefined) return undefined;
  const workingDirectory = await linkTarget(`/proc/${pid}/cwd`);
  const name = basename(program);
  // Postgres writes its title over its environment.
  const text = name === 'postgres' ? '' : await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
  const pgdata = text.split('\0').find((variable) => variable.startsWith(PGDATA));
  return { pid, workingDirectory, name, pgdata: pgdata?.slice(PGDATA.length) };
}

const PGDATA = 'PGDATA=';

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
export async function killProcessesOf(directory: string): Promise<number[]> {
  const killed = new Set<number>();
  for (let look = 0; look < LOOKS_MAX; look += 1) {
    const pids = await processesOf(directory);
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
