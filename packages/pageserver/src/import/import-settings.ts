/** Limits of an import. */
export interface ImportSettings {
  /** For connecting and logging in. */
  readonly connectTimeoutMs: number;
  /** The source may say nothing for so long; the checkpoint that begins a backup can take minutes. */
  readonly silenceMsMax: number;
  /** Bytes handed to the engine at a time. Three batches at most are in memory. */
  readonly batchBytes: number;
  /** The longest message of the source, but for the copied data. */
  readonly frameBytesMax: number;
  /** Progress is told no more often than that. */
  readonly progressIntervalMs: number;
  /** How often the source hears what has been received of its WAL. */
  readonly statusIntervalMs: number;
}

export const importDefaults: ImportSettings = {
  connectTimeoutMs: 30_000,
  silenceMsMax: 600_000,
  batchBytes: 2 * 1024 * 1024,
  frameBytesMax: 1024 * 1024,
  progressIntervalMs: 200,
  statusIntervalMs: 10_000,
};
