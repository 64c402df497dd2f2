import type { BranchStorage, Garbage, History, Tenant, UpdateTenantRequest } from '@offshoot/client';
import type { BranchRecord, PageServer, TenantRecord } from '@offshoot/pageserver';
import { ownView } from './branch-views.js';

/** The part of a tenant's view that tells of its history. */
export function retentionView(
  pageServer: PageServer,
  tenant: TenantRecord,
): Pick<Tenant, 'history' | 'garbage'> {
  return { history: historyView(pageServer, tenant), garbage: garbageView(pageServer, tenant) };
}

function historyView(pageServer: PageServer, tenant: TenantRecord): History {
  const { historySeconds, historyWalBytesMax } = pageServer.historyOf(tenant.id);
  return { seconds: historySeconds, wal_bytes_max: historyWalBytesMax };
}

function garbageView(pageServer: PageServer, { id }: TenantRecord): Garbage {
  const collected = pageServer.collectedOf(id);
  const reclaimed = pageServer.reclaimedOf(id);
  const { lastRound } = collected;
  return {
    running: collected.running,
    rounds: collected.rounds,
    versions_looked_at: collected.entriesLookedAt,
    versions_removed: collected.entriesRemoved,
    bytes_removed: collected.bytesRemoved,
    damaged: collected.damaged,
    branches_reclaimed: reclaimed.timelines,
    bytes_reclaimed: reclaimed.bytes,
    ...(lastRound === undefined
      ? {}
      : { last_round: { ended_at: lastRound.endedAt.toISOString(), duration_ms: lastRound.durationMs } }),
  };
}

/** What a tenant's own history settings become. */
export async function changeHistory(
  { catalog }: Pick<PageServer, 'catalog'>,
  { id, history }: TenantRecord,
  request: UpdateTenantRequest,
): Promise<TenantRecord> {
  const seconds = chosen(request.history_seconds, history?.historySeconds);
  const walBytes = chosen(request.history_wal_bytes_max, history?.historyWalBytesMax);
  return await catalog.setTenantHistory(id, {
    ...(seconds === undefined ? {} : { historySeconds: seconds }),
    ...(walBytes === undefined ? {} : { historyWalBytesMax: walBytes }),
  });
}

function chosen(asked: number | null | undefined, before: number | undefined): number | undefined {
  return asked === undefined ? before : (asked ?? undefined);
}

/** Longest wait for what is measured now. */
const MEASURE_MS_MAX = 2000;

/** `writtenBytes`: WAL of its computes; undefined while that cannot be read. */
export async function storageView(
  pageServer: Pick<PageServer, 'storageOf'>,
  branch: BranchRecord,
  writtenBytes: number | undefined,
): Promise<BranchStorage> {
  const { own, growth, pinned } = await pageServer.storageOf(branch, MEASURE_MS_MAX);
  return {
    branch: branch.name,
    ...(own === undefined ? {} : { own: ownView(own) }),
    ...(growth === undefined
      ? {}
      : { growth: { bytes_per_hour: growth.bytesPerHour, since: growth.since.toISOString() } }),
    ...(pinned === undefined
      ? {}
      : {
          pinned: {
            bytes: pinned.bytes,
            versions: pinned.versions,
            measured_at: pinned.at.toISOString(),
          },
        }),
    ...(writtenBytes === undefined ? {} : { written_bytes: writtenBytes }),
  };
}
