/** Tokens of the management API. */
import { z } from 'zod';
import { name, time } from './schema-parts.js';
import { actor } from './schemas.js';

/**
 * `admin`: everything. `read`: looks at everything, and changes nothing. `branch`: branches what it is told to, and works
 * with what comes of that.
 */
export const tokenScope = z.enum(['admin', 'read', 'branch']);
export type TokenScope = z.infer<typeof tokenScope>;

/**
 * The branches, besides its parents, that a token of scope `branch` works with. `own`: those that it made, and what was
 * made of those. `parents`: all that come from its parents, whoever made them.
 */
export const tokenReach = z.enum(['own', 'parents']);

export const token = z.object({
  id: z.string(),
  name,
  scope: tokenScope,
  state: z.enum(['valid', 'expired']),
  created_at: time,
  created_by: actor,
  /** Absent: never. */
  expires_at: time.optional(),
  /** When it was last shown; up to a minute may be missing after a crash. Absent: never. */
  last_used_at: time.optional(),
  /** Of scope `branch`: what it may branch, as far as it is still there. */
  parents: z.array(name).optional(),
  reach: tokenReach.optional(),
});
export type Token = z.infer<typeof token>;

export const createTokenRequest = z.strictObject({
  name,
  scope: tokenScope,
  /** From now; default: it never expires. */
  ttl_seconds: z.number().int().min(1).max(315_360_000).optional(),
  /** Of scope `branch`, which needs them: what it may branch. */
  parents: z.array(name).min(1).max(100).optional(),
  /** Of scope `branch`; default: `own`. */
  reach: tokenReach.optional(),
});
export type CreateTokenRequest = z.infer<typeof createTokenRequest>;

/** `secret` is what is sent as `Authorization: Bearer`; it is told in this answer and never again. */
export const createdToken = z.object({ token, secret: z.string() });
export type CreatedToken = z.infer<typeof createdToken>;

export const tokenList = z.object({ tokens: z.array(token) });
