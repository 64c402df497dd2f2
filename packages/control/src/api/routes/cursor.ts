import { name } from '@offshoot/client';
import { baseError } from '@offshoot/types';

/** Where a page ended: nothing that a caller should read. */
export function writeCursor(last: string): string {
  return Buffer.from(last).toString('base64url');
}

/** Throws `invalid_argument`. */
export function readCursor(cursor: string): string {
  const text = Buffer.from(cursor, 'base64url').toString();
  if (name.safeParse(text).success && writeCursor(text) === cursor) return text;
  throw baseError('invalid_argument', 'cursor: that is not one that an answer had as next_cursor');
}
