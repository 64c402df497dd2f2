import { availableParallelism, totalmem } from 'node:os';

/** Limits of the driver of local processes. */
export interface LocalComputeLimits {
  /** Computes at a time, starting and stopping ones included. */
  readonly computesMax: number;
  /** From the call to the first query's answer. */
  readonly startTimeoutMs: number;
  /** Longest silence of the page service while it sends a base backup. */
  readonly baseBackupSilenceMs: number;
  /** Longest message of the page service that is taken. */
  readonly messageBytesMax: number;
  /** All files of a base backup together: no relations, but all of pg_xact (512 MiB at most) and pg_multixact. */
  readonly archiveBytesMax: number;
  readonly archiveEntriesMax: number;
  /** A compute that has not stopped by itself by then, its last WAL sent, is killed. */
  readonly stopTimeoutMs: number;
  /** A log beyond it is put aside as `postgres.log.1` and begun anew. */
  readonly logBytesMax: number;
  readonly logCheckMs: number;
  /** Directories of ended computes, which hold only their logs, that are kept; the oldest go first. */
  readonly endedMax: number;
  /** Directories of computes to come that are kept ready. */
  readonly sparesMax: number;
  /** Empty files in each of them, for relations: two for each that a new session reads. */
  readonly spareFiles: number;
}

const MIB = 1024 * 1024;

/** A compute's buffer pool, filled, and its processes; one that idles takes a tenth of it. */
const COMPUTE_BYTES = 96 * MIB;
/** Half of the memory is for computes: the rest is the kernel's cache of their files, and ours. */
const COMPUTES_SHARE = 0.5;
const COMPUTES_PER_CORE = 50;
const COMPUTES_LEAST = 4;

/** What a machine has, or what the control group leaves of it. */
export interface Machine {
  readonly memoryBytes: number;
  readonly cores: number;
}

/** How many computes a machine bears at a time: as memory and cores allow, whichever is less. */
export function computesMaxOf({ memoryBytes, cores }: Machine): number {
  const byMemory = Math.floor((memoryBytes * COMPUTES_SHARE) / COMPUTE_BYTES);
  return Math.max(COMPUTES_LEAST, Math.min(byMemory, cores * COMPUTES_PER_CORE));
}

function thisMachine(): Machine {
  // Older versions of Node.js answer undefined or nothing sensible where there is no limit.
  const limitBytes = process.constrainedMemory?.() || Number.POSITIVE_INFINITY;
  return { memoryBytes: Math.min(totalmem(), limitBytes), cores: availableParallelism() };
}

export const defaultLocalComputeLimits: LocalComputeLimits = {
  computesMax: computesMaxOf(thisMachine()),
  startTimeoutMs: 60_000,
  baseBackupSilenceMs: 30_000,
  messageBytesMax: 16 * MIB,
  archiveBytesMax: 4096 * MIB,
  archiveEntriesMax: 1_000_000,
  stopTimeoutMs: 30_000,
  logBytesMax: 16 * MIB,
  logCheckMs: 10_000,
  endedMax: 50,
  sparesMax: 2,
  spareFiles: 128,
};
