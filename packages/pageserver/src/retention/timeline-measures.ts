import type { Lsn } from '@offshoot/types';
import type { OpenTenant } from '../open-tenant.js';
import type { OpenTimeline } from '../open-timeline.js';
import type { Pace } from './pace.js';

/** What a timeline has in the store, without what it shares with its ancestors. */
export interface MeasuredTimeline {
  readonly entries: number;
  /** Keys and values. */
  readonly bytes: number;
  /** Pages of relations that there are versions of. */
  readonly pages: number;
  readonly at: Date;
}

/** How fast that grew; negative when more was removed than added. */
export interface Growth {
  readonly bytesPerHour: number;
  /** Over the time since then, an hour at most. */
  readonly since: Date;
}

interface Sample {
  readonly atMs: number;
  readonly bytes: number;
}

const HOUR_MS = 3_600_000;
/** Over less than that nothing is said of growth; samples that are nearer to each other replace each other. */
const SAMPLE_MS_MIN = 60_000;

/** Measures timelines, and remembers what was measured in the last hour. */
export class TimelineMeasures {
  readonly #measured = new WeakMap<OpenTimeline, MeasuredTimeline & { readonly lastRecordLsn: Lsn }>();
  readonly #running = new WeakMap<OpenTimeline, Promise<void>>();
  readonly #samples = new WeakMap<OpenTimeline, Sample[]>();

  constructor(
    private readonly entriesMax: number,
    /** Unix milliseconds. */
    private readonly now: () => number,
  ) {}

  of(open: OpenTimeline): MeasuredTimeline | undefined {
    return this.#measured.get(open);
  }

  /** It was just made, and has nothing. */
  begin(open: OpenTimeline): void {
    this.#sample(open, 0);
  }

  /** Undefined: that is not known, as after a start of the process. */
  growthOf(open: OpenTimeline): Growth | undefined {
    const samples = this.#samples.get(open) ?? [];
    const [first, last] = [samples[0], samples.at(-1)];
    const ms = first === undefined || last === undefined ? 0 : last.atMs - first.atMs;
    if (first === undefined || last === undefined || ms < SAMPLE_MS_MIN) return undefined;
    return {
      bytesPerHour: Math.round(((last.bytes - first.bytes) * HOUR_MS) / ms),
      since: new Date(first.atMs),
    };
  }

  /** Whether it has grown since it was measured. What was removed since is not seen by that. */
  isCurrent(open: OpenTimeline): boolean {
    return this.#measured.get(open)?.lastRecordLsn === open.lastRecordLsn();
  }

  /** As it was measured still, without looking. */
  confirm(open: OpenTimeline): void {
    const measured = this.#measured.get(open);
    if (measured === undefined) return;
    this.#measured.set(open, { ...measured, at: new Date(this.now()) });
    this.#sample(open, measured.bytes);
  }

  /** In portions; a call while one is under way waits for that. */
  measure(tenant: OpenTenant, open: OpenTimeline, pace: Pace): Promise<void> {
    const running = this.#running.get(open) ?? this.#measure(tenant, open, pace);
    this.#running.set(open, running);
    return running;
  }

  async #measure(tenant: OpenTenant, open: OpenTimeline, pace: Pace): Promise<void> {
    const lastRecordLsn = open.lastRecordLsn();
    let [entries, bytes, pages] = [0, 0, 0];
    let cursor: Uint8Array | undefined;
    try {
      do {
        const part = await pace.portion(() => tenant.measure(open.index, cursor, this.entriesMax));
        entries += part.entries;
        bytes += part.bytes;
        pages += part.pages;
        cursor = part.next;
      } while (cursor !== undefined);
    } finally {
      this.#running.delete(open);
    }
    this.#measured.set(open, { entries, bytes, pages, at: new Date(this.now()), lastRecordLsn });
    this.#sample(open, bytes);
  }

  #sample(open: OpenTimeline, bytes: number): void {
    const atMs = this.now();
    const samples = (this.#samples.get(open) ?? []).filter((sample) => atMs - sample.atMs <= HOUR_MS);
    const before = samples.at(-2);
    if (before !== undefined && atMs - before.atMs < SAMPLE_MS_MIN) samples.pop();
    samples.push({ atMs, bytes });
    this.#samples.set(open, samples);
  }
}
