import { createHash } from 'node:crypto';
import { baseError } from '@offshoot/types';

/** A key as the caller sent it, and a digest of what it is asked for under it. */
export interface SentKey {
  readonly text: string;
  readonly requestHash: string;
}

/** The header's value. Throws `invalid_argument`. */
export function readIdempotencyKey(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  if (typeof header === 'string' && /^[\x21-\x7e]{1,255}$/.test(header)) return header;
  throw baseError(
    'invalid_argument',
    'Idempotency-Key: send 1 to 255 printable characters of ASCII, without spaces',
  );
}

export function sentKey(text: string, request: unknown): SentKey {
  return { text, requestHash: createHash('sha256').update(inOrder(request)).digest('hex') };
}

/** As JSON, whatever order its fields came in. */
function inOrder(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );
}
