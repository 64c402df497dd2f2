import type { PageServer } from '@offshoot/pageserver';
import type { ComputeBook } from '../compute-book.js';
import { type Family, type MetricGroup, samplesBy } from './metrics.js';

const families = {
  offshoot_computes: {
    kind: 'gauge',
    help: 'Computes by state, the last one of each branch',
    labels: ['state'],
  },
  offshoot_compute_starts_total: {
    kind: 'counter',
    help: 'Starts of computes that succeeded or failed',
    labels: ['outcome'],
  },
  offshoot_compute_crashes_total: { kind: 'counter', help: 'Computes that ended without being asked to' },
  offshoot_compute_wal_receivers: {
    kind: 'gauge',
    help: "Receivers of computes' WAL by state",
    labels: ['state'],
  },
  offshoot_compute_wal_reconnects_total: {
    kind: 'counter',
    help: 'Broken connections to computes that were made anew',
  },
} satisfies Record<string, Family>;

/** Computes, and how their WAL comes in. */
export function computeMetrics(
  computes: ComputeBook,
  pageServer: Pick<PageServer, 'computeWal'>,
): MetricGroup<keyof typeof families> {
  return {
    name: 'computes',
    families,
    read: () => {
      const { starts, crashes } = computes.counters;
      const { logs, reconnects } = pageServer.computeWal();
      return {
        offshoot_computes: samplesBy('state', computes.countsByState()),
        offshoot_compute_starts_total: samplesBy('outcome', starts),
        offshoot_compute_crashes_total: [{ value: crashes }],
        offshoot_compute_wal_receivers: samplesBy('state', logs),
        offshoot_compute_wal_reconnects_total: [{ value: reconnects }],
      };
    },
  };
}
