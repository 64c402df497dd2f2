import type { Lsn } from '@offshoot/types';

interface Sample {
  readonly lsn: Lsn;
  readonly atMs: number;
}

/** Between two samples; the lag in seconds is exact to about that. */
const SAMPLE_INTERVAL_MS = 1000;
const SAMPLES_MAX = 3600;

/** How far a timeline is behind its source: in bytes, and in the age of the oldest WAL that is missing. */
export class Lag {
  /** Oldest first, each ahead of the one before and of what was settled then. */
  readonly #samples: Sample[] = [];
  #source: Lsn | undefined;
  #heardAtMs: number | undefined;

  /** Where the source's WAL ends, as far as it has told. */
  get sourceLsn(): Lsn | undefined {
    return this.#source;
  }

  /** The source said where its WAL ends. */
  sourceAt(lsn: Lsn, settled: Lsn, nowMs: number): void {
    this.#heardAtMs = nowMs;
    if (this.#source === undefined || lsn > this.#source) {
      this.#source = lsn;
    }
    this.#forget(settled);
    const newest = this.#samples.at(-1);
    const due = newest === undefined || nowMs - newest.atMs >= SAMPLE_INTERVAL_MS;
    if (lsn > settled && due && lsn > (newest?.lsn ?? 0n) && this.#samples.length < SAMPLES_MAX) {
      this.#samples.push({ lsn, atMs: nowMs });
    }
  }

  /** Undefined before the source has said anything. */
  bytes(settled: Lsn): number | undefined {
    return this.#source === undefined ? undefined : Math.max(0, Number(this.#source - settled));
  }

  /** While nothing comes from the source it grows from the last word on: what was written since is not known. */
  seconds(settled: Lsn, hears: 'hears' | 'hears-not', nowMs: number): number | undefined {
    if (this.#heardAtMs === undefined) {
      return undefined;
    }
    this.#forget(settled);
    const since = this.#samples[0]?.atMs ?? (hears === 'hears' ? nowMs : this.#heardAtMs);
    return Math.max(0, nowMs - since) / 1000;
  }

  #forget(settled: Lsn): void {
    while (this.#samples[0] !== undefined && this.#samples[0].lsn <= settled) {
      this.#samples.shift();
    }
  }
}
