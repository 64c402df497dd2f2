/** What a look over the machine, and over a Postgres that is to be imported, has found. */
import { z } from 'zod';

export const check = z.object({
  /** What was looked at. */
  name: z.string(),
  /** `failed`: an import would fail, something is out of order, or production could come to harm. */
  state: z.enum(['ok', 'warning', 'failed']),
  /** In words. */
  found: z.string(),
  /** What mends it, in the order in which to do it: SQL; what is not SQL is a comment. */
  fix: z.array(z.string()).optional(),
});
export type Check = z.infer<typeof check>;

export const checkupRequest = z.strictObject({
  /** Of a Postgres that is to be imported; nothing is changed there. */
  source_url: z.string().min(1).max(4096).optional(),
});
export type CheckupRequest = z.infer<typeof checkupRequest>;

export const checkup = z.object({
  /** The machine, and what the page server is at. */
  machine: z.array(check),
  /** Of the source that was named. */
  source: z.array(check).optional(),
});
export type Checkup = z.infer<typeof checkup>;
