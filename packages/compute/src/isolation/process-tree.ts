import { readdirSync, readFileSync } from 'node:fs';

/** Ids of the processes that a process has started and that have not ended, as the kernel lists them. */
export function childrenOf(pid: number): number[] {
  // A postmaster has one thread.
  const text = readOr(`/proc/${pid}/task/${pid}/children`);
  if (text !== undefined) return text.trim().split(' ').filter(Boolean).map(Number);
  // Kernels without CONFIG_PROC_CHILDREN.
  return readOr(`/proc/${pid}/stat`) === undefined ? [] : childrenByScan(pid);
}

function childrenByScan(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => statOf(pid)?.parent === parent);
}

/** What a process has used. */
export interface ProcessStat {
  readonly parent: number;
  /** Whether it runs, or would if it had a processor. */
  readonly wantsCpu: boolean;
  readonly cpuTicks: number;
  /** The same of children that have ended and that it has waited for. */
  readonly endedChildrenTicks: number;
}

/** Undefined when there is no such process. */
export function statOf(pid: number): ProcessStat | undefined {
  const text = readOr(`/proc/${pid}/stat`);
  return text === undefined ? undefined : parseStat(text);
}

/** Of a line of /proc/PID/stat (proc(5)); the program's name may hold spaces and parentheses. */
export function parseStat(line: string): ProcessStat {
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  // The first of these is the third of the line.
  const field = (number: number) => Number(fields[number - 3]);
  return {
    parent: field(4),
    wantsCpu: fields[0] === 'R',
    cpuTicks: field(14) + field(15),
    endedChildrenTicks: field(16) + field(17),
  };
}

const PAGE_BYTES = 4096;

/** Memory that a process shares with no file and no other process' buffers; 0 when it has ended. */
export function ownMemoryOf(pid: number): number {
  const [, resident = 0, shared = 0] = (readOr(`/proc/${pid}/statm`) ?? '').split(' ').map(Number);
  return Math.max(0, resident - shared) * PAGE_BYTES;
}

function readOr(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
