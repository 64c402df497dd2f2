import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { parentOf } from './process-table.js';

/** What Postgres writes into `postmaster.pid`, line by line (miscadmin.h). */
export interface PostmasterPid {
  readonly pid: number;
  /** Absent until its memory is made. */
  readonly sharedMemory?: { readonly key: number; readonly id: number };
  /** `ready`: it takes connections. */
  readonly status: 'starting' | 'stopping' | 'ready' | 'standby' | 'unknown';
}

const line = { pid: 0, sharedMemory: 6, status: 7 } as const;
const statuses = ['starting', 'stopping', 'ready', 'standby'] as const;

/** Undefined when the text does not begin with a process id: the file is being written. */
export function parsePostmasterPid(text: string): PostmasterPid | undefined {
  const lines = text.split('\n');
  // A postmaster's own is positive, a standalone backend's negative.
  const pid = Number(lines[line.pid]);
  if (!Number.isSafeInteger(pid) || pid <= 0) {
    return undefined;
  }
  const status = statuses.find((known) => known === lines[line.status]?.trim()) ?? 'unknown';
  const memory = /^\s*(\d+)\s+(\d+)\s*$/.exec(lines[line.sharedMemory] ?? '');
  return memory === null
    ? { pid, status }
    : { pid, status, sharedMemory: { key: Number(memory[1]), id: Number(memory[2]) } };
}

/** Undefined when there is none, or none that makes sense. It may be of a Postgres that was killed long ago. */
export async function readPostmasterPid(dataDirectory: string): Promise<PostmasterPid | undefined> {
  try {
    // A hundred bytes: the way through the thread pool takes longer, above all while others wait there.
    return parsePostmasterPid(readStart(join(dataDirectory, 'postmaster.pid')));
  } catch {
    return undefined;
  }
}

/** Whoever works as Postgres' user may put a link there, or a pipe that nobody ever writes to. */
const NO_SURPRISES = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const BYTES_MAX = 4096;

function readStart(path: string): string {
  const file = openSync(path, NO_SURPRISES);
  try {
    if (!fstatSync(file).isFile()) return '';
    const bytes = Buffer.alloc(BYTES_MAX);
    return bytes.toString('utf8', 0, readSync(file, bytes, 0, BYTES_MAX, 0));
  } finally {
    closeSync(file);
  }
}

/**
 * The same of a Postgres that is `process`, or that the shell `process` started. A file that another left, whose process
 * id may be anybody's by now, is as good as none.
 */
export async function readOwnPostmasterPid(
  dataDirectory: string,
  process: { readonly pid: number },
): Promise<PostmasterPid | undefined> {
  const found = await readPostmasterPid(dataDirectory);
  const isOwn =
    found !== undefined && (found.pid === process.pid || (await parentOf(found.pid)) === process.pid);
  return isOwn ? found : undefined;
}
