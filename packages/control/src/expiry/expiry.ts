import { TTL_SECONDS_MAX } from '@offshoot/client';
import { baseError } from '@offshoot/types';

/** How long a branch shall live, as somebody asked; null: for ever. */
export interface ExpiryChoice {
  readonly ttl_seconds?: number | undefined;
  readonly expires_at?: string | null | undefined;
}

/** When it expires; undefined: nothing was said. Throws `invalid_argument`. */
export function expiryOf(
  { ttl_seconds, expires_at }: ExpiryChoice,
  nowMs: number,
): string | null | undefined {
  if (ttl_seconds !== undefined && expires_at !== undefined) {
    throw baseError('invalid_argument', 'give ttl_seconds or expires_at, not both');
  }
  if (ttl_seconds !== undefined) return new Date(nowMs + ttl_seconds * 1000).toISOString();
  if (expires_at === undefined || expires_at === null) return expires_at;
  const atMs = Date.parse(expires_at);
  if (!(atMs > nowMs)) {
    throw baseError(
      'invalid_argument',
      `expires_at: ${expires_at} is not in the future; here it is ${new Date(nowMs).toISOString()}`,
    );
  }
  if (atMs > nowMs + TTL_SECONDS_MAX * 1000) {
    throw baseError('invalid_argument', `expires_at: ${expires_at} is more than ten years away`);
  }
  return new Date(atMs).toISOString();
}
