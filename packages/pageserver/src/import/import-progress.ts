import type { Lsn } from '@offshoot/types';

/** How far an import is. */
export interface ImportProgress {
  readonly phase: 'connect' | 'base_backup' | 'wal' | 'finish' | 'done';
  /** Bytes of the base backup that are stored. */
  readonly bytesDone: number;
  /** The source's estimate, once it is known; the backup may turn out larger. */
  readonly bytesTotal?: number | undefined;
  readonly pages: number;
  /** End of the last WAL record stored. */
  readonly walLsn?: Lsn | undefined;
}

/** Tells what changed. */
export type ProgressReport = (change: Partial<ImportProgress>) => void;

/** Passes an import's progress on: each change of phase at once, the rest no more often than `intervalMs`. */
export function progressReport(
  onProgress: (progress: ImportProgress) => void,
  intervalMs: number,
  nowMs: () => number = Date.now,
): ProgressReport {
  let progress: ImportProgress = { phase: 'connect', bytesDone: 0, pages: 0 };
  let toldAtMs = Number.NEGATIVE_INFINITY;
  return (change) => {
    const phaseBefore = progress.phase;
    progress = { ...progress, ...change };
    const now = nowMs();
    if (progress.phase !== phaseBefore || now - toldAtMs >= intervalMs) {
      toldAtMs = now;
      onProgress(progress);
    }
  };
}
