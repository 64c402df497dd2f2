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
}

const MIB = 1024 * 1024;

export const defaultLocalComputeLimits: LocalComputeLimits = {
  computesMax: 200,
  startTimeoutMs: 60_000,
  baseBackupSilenceMs: 30_000,
  messageBytesMax: 16 * MIB,
  archiveBytesMax: 4096 * MIB,
  archiveEntriesMax: 1_000_000,
  stopTimeoutMs: 30_000,
  logBytesMax: 16 * MIB,
  logCheckMs: 10_000,
  endedMax: 50,
};
