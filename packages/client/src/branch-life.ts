/** What a branch's life is made of on the wire: how long it lives, what is said of it, and its checkpoints. */
import { z } from 'zod';
import { lsn, name, time } from './schema-parts.js';

/** Ten years. */
export const TTL_SECONDS_MAX = 315_360_000;

export const ttlSeconds = z.number().int().min(1).max(TTL_SECONDS_MAX);
export const expiresAt = z.iso.datetime({ offset: true });

/** Labels of one branch. */
export const LABELS_MAX = 64;

const labelName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/,
    'a label\'s name is 1 to 63 of A-Z, a-z, 0-9, ".", "_", "/" and "-", and starts with a letter or digit',
  );
const labelValue = z.string().max(255);

/** Whatever whoever works with the branch wants to find it by: `{"agent": "x", "pr": "42"}`. */
export const labels = z
  .record(labelName, labelValue)
  .refine((all) => Object.keys(all).length <= LABELS_MAX, `a branch has ${LABELS_MAX} labels at most`);
/** One by one; `null` takes a label away. */
export const labelChanges = z.record(labelName, labelValue.nullable());

/** Checkpoints that are taken again and again; so many of them stay, the newest. */
export const snapshotPolicy = z.strictObject({
  every_seconds: z.number().int().min(1).max(31_536_000),
  keep: z.number().int().min(1).max(1000),
});
export type SnapshotPolicy = z.infer<typeof snapshotPolicy>;

/** A checkpoint's name. */
export const checkpointName = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._:-]{0,62}$/,
    'a checkpoint\'s name is 1 to 63 of a-z, 0-9, ".", "_", ":" and "-", and starts with a letter or digit',
  );

/** A named LSN of a branch. What is needed to go back there stays as long as it does. */
export const checkpoint = z.object({
  name: checkpointName,
  branch: name,
  lsn,
  created_at: time,
  /** `periodic`: taken by the branch's snapshot policy, which also deletes it. */
  kind: z.enum(['manual', 'periodic']),
});
export type Checkpoint = z.infer<typeof checkpoint>;

/** Where in a branch's history: as `at` of a new branch. */
const place = z.string().min(1).max(80);
const timeoutMs = z.number().int().min(1).max(240_000);

/** `at`: default `latest`, all that was committed there. */
export const createCheckpointRequest = z.strictObject({
  name: checkpointName,
  at: place.optional(),
  timeout_ms: timeoutMs.optional(),
});
export type CreateCheckpointRequest = z.infer<typeof createCheckpointRequest>;

export const checkpointList = z.object({ checkpoints: z.array(checkpoint) });

export const renameBranchRequest = z.strictObject({ name });
export type RenameBranchRequest = z.infer<typeof renameBranchRequest>;

/** `at`: where in its parent's history it goes on from; default `latest`. What it had is gone, but for `preserve_as`. */
export const resetBranchRequest = z.strictObject({
  at: place.optional(),
  /** A branch of this name keeps the state before. */
  preserve_as: name.optional(),
  timeout_ms: timeoutMs.optional(),
});
export type ResetBranchRequest = z.infer<typeof resetBranchRequest>;

/** `at`: where in its own history it goes on from. */
export const restoreBranchRequest = z.strictObject({
  at: place,
  /** The name of the branch that keeps the state before; default: one that says of which branch, and when. */
  preserve_as: name.optional(),
  /** `false`: no branch keeps it. */
  preserve: z.boolean().optional(),
  timeout_ms: timeoutMs.optional(),
});
export type RestoreBranchRequest = z.infer<typeof restoreBranchRequest>;

/** What has become of a branch, as the event log has it. */
export const branchEvent = z.object({
  time,
  event: z.enum([
    'created',
    'changed',
    'renamed',
    'woken',
    'slept',
    'crashed',
    'reset',
    'restored',
    'checkpoint_created',
    'checkpoint_deleted',
    'expired',
    'deleted',
  ]),
  /** Its name at that time. */
  branch: z.string(),
  branch_id: z.string(),
  tenant: z.string(),
  /** What more there is to say: `by` of a deletion is `user`, `cascade`, `expiry` or `tenant`, `token` whose call it was. */
  facts: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
});
export type BranchEvent = z.infer<typeof branchEvent>;

export const eventList = z.object({ events: z.array(branchEvent) });
