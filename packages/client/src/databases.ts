/** New databases: empty, or loaded from a dump. */
import { z } from 'zod';
import { expiresAt, LABELS_MAX, ttlSeconds } from './branch-life.js';
import { newBranch, newBranchRequest } from './creation.js';
import { load } from './load-schemas.js';
import { name } from './schema-parts.js';

const labelText = z
  .string()
  .max(330)
  .regex(/^[^=]+=/, 'a label is given as NAME=VALUE');

/** An empty database. It is a branch, of what all new databases start from. */
export const newDatabaseRequest = z.strictObject({
  ...newBranchRequest.omit({ from: true, at: true, timeout_ms: true }).shape,
});
export type NewDatabaseRequest = z.infer<typeof newDatabaseRequest>;

/** Of a database that is made of a dump, which is the body: what else there is to say is in the query. */
export const databaseFromDumpQuery = z.strictObject({
  name: name.optional().describe('Default: one that no other branch has.'),
  ttl_seconds: z.coerce
    .number()
    .pipe(ttlSeconds)
    .optional()
    .describe('It expires after so long; this, `expires_at` or `keep`.'),
  expires_at: expiresAt.optional().describe('From then on it cannot be used, and it is deleted.'),
  keep: z
    .stringbool({ truthy: ['true'], falsy: ['false'] })
    .optional()
    .describe('`true`: it does not expire.'),
  label: z
    .union([labelText, z.array(labelText).max(LABELS_MAX)])
    .optional()
    .describe('`NAME=VALUE`; may be given several times.'),
  on_error: z
    .enum(['stop', 'continue'])
    .optional()
    .describe(
      '`stop`, the default: the first statement that fails ends the load, but for those about the server that the dump comes ' +
        'from (owners, grants, roles, extensions, settings), which are warnings. `continue`: every one is a warning.',
    ),
});
export type DatabaseFromDumpQuery = z.infer<typeof databaseFromDumpQuery>;

export const newDatabase = z.object({
  ...newBranch.shape,
  /** What came of loading the dump. */
  load: load.optional(),
  /** The load goes on: until this operation has ended nobody can connect, and if it fails the database is gone. */
  operation: z.string().optional(),
});
export type NewDatabase = z.infer<typeof newDatabase>;
