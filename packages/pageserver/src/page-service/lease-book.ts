import { formatLsn, type Lsn, type TenantId, type TimelineId } from '@offshoot/types';
import { pageServiceError } from './page-service-error.js';

/** Promises that a (timeline, LSN) stays readable until a time. */
export interface LeaseBook {
  /**
   * Grants or renews a lease; renewal extends and never shortens. Answers its end in Unix milliseconds. Rejects with
   * `too_many_leases`. `kept` is what can be read now and has to stay so, whoever asks having found that without a pause
   * before the call: by default the LSN itself.
   */
  grant(tenant: TenantId, timeline: TimelineId, lsn: Lsn, kept?: readonly Lsn[]): Promise<number>;
  /** What leases that still hold keep of a timeline. */
  held(timeline: TimelineId): Lsn[];
}

export interface MemoryLeaseBookOptions {
  readonly leaseMs: number;
  readonly leasesMax: number;
  /** Unix milliseconds. */
  readonly now?: () => number;
}

interface Lease {
  /** Unix milliseconds. */
  readonly end: number;
  readonly timeline: TimelineId;
  readonly kept: readonly Lsn[];
}

/** Leases that live as long as the process. */
export class MemoryLeaseBook implements LeaseBook {
  readonly #options: MemoryLeaseBookOptions;
  readonly #now: () => number;
  readonly #leases = new Map<string, Lease>();
  /** Keys of those. */
  readonly #byTimeline = new Map<TimelineId, Set<string>>();

  constructor(options: MemoryLeaseBookOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  async grant(
    tenant: TenantId,
    timeline: TimelineId,
    lsn: Lsn,
    kept: readonly Lsn[] = [lsn],
  ): Promise<number> {
    const key = keyOf(tenant, timeline, lsn);
    if (!this.#leases.has(key) && this.#leases.size >= this.#options.leasesMax) {
      this.#dropEnded();
    }
    if (!this.#leases.has(key) && this.#leases.size >= this.#options.leasesMax) {
      throw pageServiceError('too_many_leases', `${this.#options.leasesMax} leases are held already`);
    }
    const before = this.#leases.get(key);
    const end = Math.max(this.#now() + this.#options.leaseMs, before?.end ?? 0);
    // One that has ended may have been kept no longer.
    const still = before !== undefined && before.end > this.#now() ? before.kept : [];
    this.#leases.set(key, { end, timeline, kept: [...new Set([...still, ...kept])] });
    const others = this.#byTimeline.get(timeline) ?? new Set();
    this.#byTimeline.set(timeline, others.add(key));
    return end;
  }

  held(timeline: TimelineId): Lsn[] {
    const leases = [...(this.#byTimeline.get(timeline) ?? [])].map((key) => this.#leases.get(key));
    return leases.flatMap((lease) => (lease !== undefined && lease.end > this.#now() ? lease.kept : []));
  }

  /** End of the lease in Unix milliseconds, or undefined when there is none that still holds. */
  validUntil(tenant: TenantId, timeline: TimelineId, lsn: Lsn): number | undefined {
    const end = this.#leases.get(keyOf(tenant, timeline, lsn))?.end;
    return end !== undefined && end > this.#now() ? end : undefined;
  }

  #dropEnded(): void {
    for (const [key, { end, timeline }] of this.#leases) {
      if (end > this.#now()) continue;
      this.#leases.delete(key);
      const others = this.#byTimeline.get(timeline);
      others?.delete(key);
      if (others?.size === 0) this.#byTimeline.delete(timeline);
    }
  }
}

function keyOf(tenant: TenantId, timeline: TimelineId, lsn: Lsn): string {
  return `${tenant}/${timeline}@${formatLsn(lsn)}`;
}

const WAL_PAGE_BYTES = 8192n;
const PAGE_HEADER_BYTES = 24n;
const SEGMENT_HEADER_BYTES = 40n;

/**
 * The one spelling of an LSN under which leases are kept: 8-byte aligned, and where the first record behind a WAL page
 * header would begin instead of at the header.
 */
export function normalizedLsn(lsn: Lsn, walSegmentBytes: number): Lsn {
  const aligned = BigInt.asUintN(64, (lsn + 7n) & ~7n);
  if (aligned % BigInt(walSegmentBytes) === 0n) {
    return (aligned + SEGMENT_HEADER_BYTES) as Lsn;
  }
  return (aligned % WAL_PAGE_BYTES === 0n ? aligned + PAGE_HEADER_BYTES : aligned) as Lsn;
}
