import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { PostmasterPid } from './postmaster-pid.js';

type Segment = NonNullable<PostmasterPid['sharedMemory']>;

/**
 * Removes the System V segment that a killed Postgres could not remove (it uses one as a lock; the machine has room
 * for a few thousand), if it is the one that `postmaster.pid` named, belongs to `uid`, and nobody is attached.
 */
export async function removeSharedMemory(segment: Segment, uid: number): Promise<void> {
  const table = await readFile('/proc/sysvipc/shm', 'utf8').catch(() => '');
  if (isAbandoned(table, segment, uid)) {
    // Without the program, or when another was faster, the segment is left: it costs one page.
    await promisify(execFile)('ipcrm', ['-m', String(segment.id)], { timeout: 10_000 }).catch(
      () => undefined,
    );
  }
}

/** Looks the segment up in the text of /proc/sysvipc/shm (proc(5)). */
export function isAbandoned(table: string, segment: Segment, uid: number): boolean {
  const [header, ...rows] = table.split('\n').map((row) => row.trim().split(/\s+/));
  const column = (name: string) => header?.indexOf(name) ?? -1;
  const [key, id, attached, owner] = ['key', 'shmid', 'nattch', 'uid'].map(column) as [
    number,
    number,
    number,
    number,
  ];
  return rows.some(
    (row) =>
      Number(row[key]) === segment.key &&
      Number(row[id]) === segment.id &&
      Number(row[owner]) === uid &&
      row[attached] === '0',
  );
}
