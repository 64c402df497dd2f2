import { TTL_SECONDS_MAX } from '@offshoot/client';
import { baseError } from '@offshoot/types';

/** How long a branch shall live, as somebody asked; null: for ever. */
export interface ExpiryChoice {
  readonly ttl_seconds?: number | undefined;
  readonly expires_at?: string | null | undefined;
}

/** How long a new branch shall live. */
export interface NewExpiryChoice extends ExpiryChoice {
  /** It does not expire. */
  readonly keep?: boolean | undefined;
  /** Neither does this one, which is not deleted by anybody. */
  readonly protected?: boolean | undefined;
}

/** When a new branch expires; undefined: never. `defaultTtlSeconds`: where nothing is said; 0: never. Throws `invalid_argument`. */
export function newExpiryOf(
  choice: NewExpiryChoice,
  nowMs: number,
  defaultTtlSeconds: number,
): string | undefined {
  const expiresAt = expiryOf(choice, nowMs) ?? undefined;
  const { keep = false, protected: protect = false } = choice;
  if (expiresAt !== undefined && (keep || protect)) {
    const [field, word] = protect ? ['protected', 'protected'] : ['keep', 'kept'];
    throw baseError(
      'invalid_argument',
      `a branch that expires cannot be ${word}: leave out ${field}, or when it expires`,
    );
  }
  if (expiresAt !== undefined || keep || protect || defaultTtlSeconds === 0) return expiresAt;
  const seconds = Math.min(defaultTtlSeconds, TTL_SECONDS_MAX);
  return new Date(nowMs + seconds * 1000).toISOString();
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
