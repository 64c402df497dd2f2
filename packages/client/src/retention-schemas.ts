/** What of a tenant's history is kept, and what was removed; see `schemas.ts` for the conventions. */
import { z } from 'zod';

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
