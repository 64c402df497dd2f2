import { type Machine, thisMachine } from './isolation/compute-size.js';
import { REMOVAL_TIMEOUT_MS } from './remove-owned.js';

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
  /** What is left of a compute that is not removed by then stays until the next one ends. */
  readonly removalTimeoutMs: number;
  /** A log beyond it is put aside as `postgres.log.1` and begun anew. */
  readonly logBytesMax: number;
  readonly logCheckMs: number;
  /** Directories of ended computes, which hold only their logs, that are kept; the oldest go first. */
  readonly endedMax: number;
  /** Directories of computes to come that are kept ready. */
  readonly sparesMax: number;
  /** Empty files in each of them, for relations: two for each that a new session reads. */
  readonly spareFiles: number;
  /** Processes of one compute at a time, where there are control groups. */
  readonly processesMax: number;
  /** Between two looks at what computes use, after which their shares of the processor are moved. */
  readonly lookMs: number;
  /** Local files of one compute: what it has read, written, and put aside. Beyond it the compute is ended. */
  readonly localBytesMax: number;
  /** With less than that free on the disk, the compute with the most local files is ended. */
  readonly diskFreeBytesMin: number;
  readonly diskCheckMs: number;
}

const MIB = 1024 * 1024;

/** A compute's buffer pool, filled, and its processes; one that idles takes a tenth of it. */
const COMPUTE_BYTES = 96 * MIB;
/** Half of the memory is for computes: the rest is the kernel's cache of their files, and ours. */
const COMPUTES_SHARE = 0.5;
const COMPUTES_PER_CORE = 50;
const COMPUTES_LEAST = 4;

/** How many computes a machine bears at a time: as memory and cores allow, whichever is less. */
export function computesMaxOf({ memoryBytes, cores }: Machine): number {
  const byMemory = Math.floor((memoryBytes * COMPUTES_SHARE) / COMPUTE_BYTES);
  return Math.max(COMPUTES_LEAST, Math.min(byMemory, cores * COMPUTES_PER_CORE));
}

export const defaultLocalComputeLimits: LocalComputeLimits = {
  computesMax: computesMaxOf(thisMachine()),
  startTimeoutMs: 60_000,
  baseBackupSilenceMs: 30_000,
  messageBytesMax: 16 * MIB,
  archiveBytesMax: 4096 * MIB,
  archiveEntriesMax: 1_000_000,
  stopTimeoutMs: 30_000,
  removalTimeoutMs: REMOVAL_TIMEOUT_MS,
  logBytesMax: 16 * MIB,
  logCheckMs: 1000,
  endedMax: 50,
  sparesMax: 2,
  spareFiles: 128,
  processesMax: 1024,
  lookMs: 1_000,
  localBytesMax: 65_536 * MIB,
  diskFreeBytesMin: 512 * MIB,
  diskCheckMs: 2_000,
};
