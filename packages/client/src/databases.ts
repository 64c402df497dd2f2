/** New databases: empty, or loaded from a dump. */
import { z } from 'zod';
import { newBranch, newBranchRequest } from './creation.js';

/** An empty database. It is a branch, of what all new databases start from. */
export const newDatabaseRequest = z.strictObject({
  ...newBranchRequest.omit({ from: true, at: true, timeout_ms: true }).shape,
});
export type NewDatabaseRequest = z.infer<typeof newDatabaseRequest>;

export const newDatabase = z.object({
  ...newBranch.shape,
});
export type NewDatabase = z.infer<typeof newDatabase>;
