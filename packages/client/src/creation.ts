/** Making a branch by the management API: what is asked for, and what is answered. */
import { z } from 'zod';
import { id, lsn, name, time } from './schema-parts.js';
import { branch, createBranchRequest, createdBranch, problem, roleRequest } from './schemas.js';

/** `compute`: answer when a query on the branch's compute has succeeded, which is then warm. */
export const wait = z.enum(['none', 'compute']);

/** Names of fields that are not known here, and did nothing. */
export const ignoredFields = z.array(z.string());

export const newBranchRequest = z.strictObject({
  ...createBranchRequest.shape,
  /** Default: one that no other branch has. */
  name: name.optional(),
  /** Default: one of its own, whose password the answer has; `null`: none, and whoever connects needs production's. */
  role: roleRequest.nullable().optional(),
  /** Default: `none`. */
  wait: wait.optional(),
});
export type NewBranchRequest = z.infer<typeof newBranchRequest>;

export const newBranch = z.object({
  ...createdBranch.shape,
  id,
  name,
  parent: name.optional(),
  /** `false`: it was there before, and is as it was. */
  created: z.boolean(),
  base_lsn: lsn,
  /** How old its data is, against its source; see `at`. Absent: nothing is known of that. */
  data_age_ms: z.number().nonnegative().optional(),
  expires_at: time.optional(),
  /**
   * Works at once: whoever connects waits until the compute is up. With the password, when this call has made one. Absent:
   * there is no gateway, and its compute does not run.
   */
  dsn: z.string().optional(),
  /** `warm`: its compute runs; `on_connect`: it is started for the first connection. */
  ready: z.enum(['warm', 'on_connect']),
  /** Its compute was asked for and could not be started; the branch is there. */
  compute_problem: problem.optional(),
  /** Of a branch that was there before: what was asked for and is otherwise there. */
  not_applied: z.array(z.string()).optional(),
  ignored_fields: ignoredFields,
});
export type NewBranch = z.infer<typeof newBranch>;

/** A branch whose settings were changed. */
export const changedBranch = z.object({ ...branch.shape, ignored_fields: ignoredFields });
export type ChangedBranch = z.infer<typeof changedBranch>;
