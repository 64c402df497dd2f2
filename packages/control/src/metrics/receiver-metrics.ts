import { receiver } from '@offshoot/client';
import type { Catalog, PageServer, ReceiverView, TenantRecord } from '@offshoot/pageserver';
import type { Family, MetricGroup, Sample } from './metrics.js';

const RECEIVER_STATES: readonly ReceiverView['state'][] = receiver.shape.state.options;

/** Of pg_replication_slots. */
const WAL_STATUSES = ['reserved', 'extended', 'unreserved', 'lost'] as const;

const gauge = (help: string): Family => ({ kind: 'gauge', help, labels: ['tenant'] });
const counter = (help: string): Family => ({ kind: 'counter', help, labels: ['tenant'] });

/** What one receiver shows, each under the name of its metric; undefined is not shown. */
const values = {
  offshoot_receiver_source_lsn_bytes: (seen: ReceiverView) => number(seen.sourceLsn),
  offshoot_receiver_received_lsn_bytes: (seen: ReceiverView) => number(seen.arrivedLsn),
  offshoot_receiver_flushed_lsn_bytes: (seen: ReceiverView) => number(seen.receivedLsn),
  offshoot_receiver_indexed_lsn_bytes: (seen: ReceiverView) => number(seen.indexedLsn),
  offshoot_receiver_lag_bytes: (seen: ReceiverView) => seen.lagBytes,
  offshoot_receiver_lag_seconds: (seen: ReceiverView) => seen.lagSeconds,
  offshoot_receiver_reconnects_total: (seen: ReceiverView) => Math.max(0, seen.streamsBegun - 1),
  offshoot_receiver_attempts_ended_total: (seen: ReceiverView) => seen.attemptsEnded,
  offshoot_slot_retained_bytes: (seen: ReceiverView) => seen.slot?.retainedBytes,
  offshoot_slot_safe_wal_bytes: (seen: ReceiverView) => seen.slot?.safeWalBytes,
  offshoot_slot_retained_bytes_max: (seen: ReceiverView) => seen.slotRetainedBytesMax,
} as const satisfies Record<string, (seen: ReceiverView) => number | undefined>;

const families = {
  offshoot_receiver_state: {
    kind: 'gauge',
    help: "How the tenant's production is followed: 1 for the state that holds",
    labels: ['tenant', 'state'],
  },
  offshoot_receiver_source_lsn_bytes: gauge("Where production's WAL ends, as far as it has told"),
  offshoot_receiver_received_lsn_bytes: gauge('The end of the WAL that has come'),
  offshoot_receiver_flushed_lsn_bytes: gauge("WAL before it is on the page server's disk"),
  offshoot_receiver_indexed_lsn_bytes: gauge('The end of the last record that can be read'),
  offshoot_receiver_lag_bytes: gauge("From what can be read to the end of production's WAL"),
  offshoot_receiver_lag_seconds: gauge('The age of the oldest WAL that cannot be read yet'),
  offshoot_receiver_reconnects_total: counter('How often streaming began anew'),
  offshoot_receiver_attempts_ended_total: counter('Connections to production that failed or ended'),
  offshoot_slot_retained_bytes: gauge('WAL that production keeps for the slot, at the last look'),
  offshoot_slot_safe_wal_bytes: gauge('WAL that production may write before the slot is lost'),
  offshoot_slot_wal_status: {
    kind: 'gauge',
    help: "The slot's wal_status, at the last look: 1 for the status that holds",
    labels: ['tenant', 'status'],
  },
  offshoot_slot_retained_bytes_max: gauge('Past that the slot is dropped (slotRetainedBytesMax)'),
  offshoot_slot_dropped: gauge('1: the slot is known not to be on the source any more'),
  offshoot_tenant_needs_reimport: gauge('1: WAL is missing for good, production is not followed any more'),
  offshoot_tenant_available: gauge("0: the tenant's store could not be opened"),
} satisfies Record<string, Family>;

type Name = keyof typeof families;

/** How each tenant's production is followed. */
export function receiverMetrics(
  pageServer: Pick<PageServer, 'receiverOf' | 'unavailable'> & { catalog: Pick<Catalog, 'tenants'> },
): MetricGroup<Name> {
  return {
    name: 'receivers',
    families,
    read: () => {
      const samples = Object.fromEntries(Object.keys(families).map((name) => [name, [] as Sample[]]));
      for (const { id, name: tenant, needsReimport } of pageServer.catalog.tenants()) {
        const seen = pageServer.receiverOf(id);
        const shown = {
          offshoot_tenant_available: pageServer.unavailable(id) === undefined ? 1 : 0,
          ...(seen === undefined ? {} : shownOf(seen, needsReimport)),
        };
        for (const [name, value] of Object.entries(shown)) {
          if (value !== undefined) samples[name]?.push({ labels: { tenant }, value });
        }
        const status = seen?.slot?.walStatus;
        for (const each of status === undefined ? [] : WAL_STATUSES) {
          const value = each === status ? 1 : 0;
          samples.offshoot_slot_wal_status?.push({ labels: { tenant, status: each }, value });
        }
        const states = seen === undefined ? [] : RECEIVER_STATES;
        for (const state of states) {
          const value = seen?.state === state ? 1 : 0;
          samples.offshoot_receiver_state?.push({ labels: { tenant, state }, value });
        }
      }
      return samples as Record<Name, Sample[]>;
    },
  };
}

function shownOf(
  seen: ReceiverView,
  needsReimport: TenantRecord['needsReimport'],
): Partial<Record<Name, number | undefined>> {
  return {
    offshoot_tenant_needs_reimport: needsReimport === undefined ? 0 : 1,
    offshoot_slot_dropped: needsReimport?.slot === 'dropped' ? 1 : 0,
    ...Object.fromEntries(Object.entries(values).map(([name, of]) => [name, of(seen)])),
  };
}

/** An LSN is a number of bytes; up to 2^53 of them, 8 PiB, it is exact. */
function number(lsn: bigint | undefined): number | undefined {
  return lsn === undefined ? undefined : Number(lsn);
}
