import { formatLsn, type Lsn, type TenantId, type TimelineId } from '@offshoot/types';
import { pageServiceError } from './page-service-error.js';

/** Promises that a (timeline, LSN) stays readable until a time. */
export interface LeaseBook {
  /**
   * Grants or renews a lease; renewal extends and never shortens. Answers its end in Unix milliseconds. Rejects with
   * `too_many_leases`.
   */
  grant(tenant: TenantId, timeline: TimelineId, lsn: Lsn): Promise<number>;
}

export interface MemoryLeaseBookOptions {
  readonly leaseMs: number;
  readonly leasesMax: number;
  /** Unix milliseconds. */
  readonly now?: () => number;
}

/** Leases that live as long as the process. */
export class MemoryLeaseBook implements LeaseBook {
  readonly #options: MemoryLeaseBookOptions;
  readonly #now: () => number;
  readonly #ends = new Map<string, number>();

  constructor(options: MemoryLeaseBookOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  async grant(tenant: TenantId, timeline: TimelineId, lsn: Lsn): Promise<number> {
    const key = keyOf(tenant, timeline, lsn);
    if (!this.#ends.has(key) && this.#ends.size >= this.#options.leasesMax) {
      this.#dropEnded();
    }
    if (!this.#ends.has(key) && this.#ends.size >= this.#options.leasesMax) {
      throw pageServiceError('too_many_leases', `${this.#options.leasesMax} leases are held already`);
    }
    const end = Math.max(this.#now() + this.#options.leaseMs, this.#ends.get(key) ?? 0);
    this.#ends.set(key, end);
    return end;
  }

  /** End of the lease in Unix milliseconds, or undefined when there is none that still holds. */
  validUntil(tenant: TenantId, timeline: TimelineId, lsn: Lsn): number | undefined {
    const end = this.#ends.get(keyOf(tenant, timeline, lsn));
    return end !== undefined && end > this.#now() ? end : undefined;
  }

  #dropEnded(): void {
    for (const [key, end] of this.#ends) {
      if (end <= this.#now()) {
        this.#ends.delete(key);
      }
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
