import type { PageServer, TenantRecord } from '@offshoot/pageserver';
import type { Family, MetricGroup, Sample } from './metrics.js';

type Values = (pageServer: PageServer, tenant: TenantRecord) => number | undefined;

const gauge = (help: string): Family => ({ kind: 'gauge', help, labels: ['tenant'] });
const counter = (help: string): Family => ({ kind: 'counter', help, labels: ['tenant'] });

const families = {
  offshoot_gc_rounds_total: counter('Rounds of garbage collection that were ended'),
  offshoot_gc_running: gauge('1: a round is under way'),
  offshoot_gc_looked_at_total: counter('Versions that were looked at'),
  offshoot_gc_removed_total: counter('Versions that nobody could read any more, and were removed'),
  offshoot_gc_removed_bytes_total: counter('Their keys and values'),
  offshoot_gc_damaged: gauge('Places that make no sense, of the last round'),
  offshoot_gc_last_round_seconds: gauge('How long the last round took, pauses included'),
  offshoot_gc_round_seconds_total: counter('How long rounds took, pauses included'),
  offshoot_gc_timelines_pending: gauge('Timelines that the round under way has not come to yet'),
  offshoot_gc_branches_pending: gauge('Timelines of deleted branches of which something is stored yet'),
  offshoot_gc_cutoff_lsn_bytes: gauge("Where what can be read of the tenant's first branch begins"),
  offshoot_gc_branches_reclaimed_total: counter('Deleted branches of which nothing is stored any more'),
  offshoot_gc_reclaimed_bytes_total: counter('Keys and values of deleted branches that were removed'),
} satisfies Record<string, Family>;

type Name = keyof typeof families;

const values: Record<Name, Values> = {
  offshoot_gc_rounds_total: (server, { id }) => server.collectedOf(id).rounds,
  offshoot_gc_running: (server, { id }) => Number(server.collectedOf(id).running),
  offshoot_gc_looked_at_total: (server, { id }) => server.collectedOf(id).entriesLookedAt,
  offshoot_gc_removed_total: (server, { id }) => server.collectedOf(id).entriesRemoved,
  offshoot_gc_removed_bytes_total: (server, { id }) => server.collectedOf(id).bytesRemoved,
  offshoot_gc_damaged: (server, { id }) => server.collectedOf(id).damaged,
  offshoot_gc_last_round_seconds: (server, { id }) => {
    const ms = server.collectedOf(id).lastRound?.durationMs;
    return ms === undefined ? undefined : ms / 1000;
  },
  offshoot_gc_round_seconds_total: (server, { id }) => server.collectedOf(id).roundsMs / 1000,
  offshoot_gc_timelines_pending: (server, { id }) => server.collectedOf(id).timelinesPending,
  offshoot_gc_branches_pending: (server, { id }) => server.reclaimedOf(id).timelinesPending,
  offshoot_gc_cutoff_lsn_bytes: (server, tenant) => {
    const lsn = server.catalog.rootTimeline(tenant)?.readableFrom;
    return lsn === undefined ? undefined : Number(lsn);
  },
  offshoot_gc_branches_reclaimed_total: (server, { id }) => server.reclaimedOf(id).timelines,
  offshoot_gc_reclaimed_bytes_total: (server, { id }) => server.reclaimedOf(id).bytes,
};

/** What garbage collection did to each tenant since the start. */
export function retentionMetrics(pageServer: PageServer): MetricGroup<Name> {
  return {
    name: 'garbage collection',
    families,
    read: () => {
      const samples = Object.fromEntries(Object.keys(families).map((name) => [name, [] as Sample[]]));
      for (const tenant of pageServer.catalog.tenants().filter(({ state }) => state === 'active')) {
        for (const [name, of] of Object.entries(values)) {
          const value = of(pageServer, tenant);
          if (value !== undefined) samples[name]?.push({ labels: { tenant: tenant.name }, value });
        }
      }
      return samples as Record<Name, Sample[]>;
    },
  };
}
