/** What is told of loading a dump into a new database. */
import { z } from 'zod';
import { bytes } from './schema-parts.js';

/**
 * A statement that failed or was not done, and the load went on: it is about the server that the dump comes from, such as its
 * roles, or `on_error` is `continue` (`error`). Or one that was done and made a table that is empty when the branch's compute
 * stops (`unlogged`). Several with the same reason are one.
 */
export const loadWarning = z.object({
  kind: z.enum([
    'owner',
    'privilege',
    'role',
    'extension',
    'setting',
    'comment',
    'exists',
    'replication',
    'event_trigger',
    'unlogged',
    'error',
  ]),
  /** Of the first, in the dump as SQL. */
  line: z.number().int(),
  statement: z.string(),
  /** Postgres' words; of `unlogged` what becomes of what is in it. */
  message: z.string(),
  sqlstate: z.string().optional(),
  count: z.number().int().positive(),
});
export type LoadWarning = z.infer<typeof loadWarning>;

/** How far a load has come, or what came of it. */
export const load = z.object({
  format: z.enum(['plain', 'custom', 'tar']),
  /** By gzip. */
  compressed: z.boolean(),
  statements: z.number().int().nonnegative(),
  /** That were copied in. */
  rows: z.number().int().nonnegative(),
  /** Of the dump as SQL. */
  bytes,
  /** Where it was loaded: the one that the dump made and connected to, or the first. */
  database: z.string(),
  /** Told at its end. */
  warnings: z.array(loadWarning),
  /** So many more that there was no room for. */
  warnings_omitted: z.number().int().nonnegative(),
});
export type Load = z.infer<typeof load>;
