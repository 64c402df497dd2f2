/** What of a tenant's history is kept, and what was removed; see `schemas.ts` for the conventions. */
import { z } from 'zod';
import { bytes, name, time } from './schema-parts.js';

const count = z.number().int().nonnegative();

/** 0: all of it. */
export const historySeconds = z.number().int().min(0).max(3_153_600_000);
/** 0: any. */
export const historyWalBytes = z
  .number()
  .int()
  .min(0)
  .max(2 ** 50);

export const history = z.object({
  /** So much before its newest commit each timeline of the tenant can be read. Its own, or the page server's setting. */
  seconds: historySeconds,
  /** And no more than so much WAL before its end. */
  wal_bytes_max: historyWalBytes,
});
export type History = z.infer<typeof history>;

/** What garbage collection did to a tenant since the page server started. */
export const garbage = z.object({
  /** Whether a round is under way. */
  running: z.boolean(),
  rounds: count,
  versions_looked_at: count,
  versions_removed: count,
  bytes_removed: count,
  /** Places in the store that make no sense, and were left alone; of the last round. */
  damaged: count,
  last_round: z.object({ ended_at: z.iso.datetime(), duration_ms: z.number().nonnegative() }).optional(),
  /** What deleted branches had. */
  branches_reclaimed: count,
  bytes_reclaimed: count,
});
export type Garbage = z.infer<typeof garbage>;

/** What is not given stays as it is; null: the page server's setting. */
export const updateTenantRequest = z
  .strictObject({
    history_seconds: historySeconds.nullable().optional(),
    history_wal_bytes_max: historyWalBytes.nullable().optional(),
  })
  .refine(
    (request) => Object.keys(request).length > 0,
    'say what to change: history_seconds or history_wal_bytes_max',
  );
export type UpdateTenantRequest = z.infer<typeof updateTenantRequest>;

/** What is stored under a branch's own timeline, without what it shares with its ancestors. */
export const ownStorage = z.object({
  /** Keys and values. */
  bytes,
  versions: count,
  /** Pages of relations that have versions there: those that were changed since the branch began, or was last moved. */
  pages: count,
  measured_at: time,
});

/** What a branch has stored, and what it keeps its ancestors from giving up. */
export const branchStorage = z.object({
  branch: name,
  /** Absent: not measured yet. */
  own: ownStorage.optional(),
  /** How `own.bytes` grew since then, an hour at most; absent while that is not known. */
  growth: z.object({ bytes_per_hour: z.number().int(), since: time }).optional(),
  /**
   * Versions of pages in timelines that it comes of or has left, which would go if it were not there: only it and branches
   * that come of it need them. Exact as of that time; what others need too is in nobody's, sizes and commit times of some
   * bytes each are not counted. Absent: not known before the next round of garbage collection, and of a tenant's first branch.
   */
  pinned: z.object({ bytes, versions: count, measured_at: time }).optional(),
  /** WAL written on it since it was made, or last moved. */
  written_bytes: bytes.optional(),
});
export type BranchStorage = z.infer<typeof branchStorage>;
