import { randomBytes } from 'node:crypto';
import { baseError } from '@offshoot/types';

/** Postgres cuts longer names off, and two may be one then. */
const BYTES_MAX = 63;
/** Postgres takes them for other things, quoted or not. */
const RESERVED = new Set(['public', 'none']);
const SLUG_LENGTH_MAX = 40;

/** A role's name, to be used as it is written. Throws `invalid_argument`. */
export function parseRoleName(text: string): string {
  const fault = faultOf(text);
  if (fault === undefined) return text;
  throw baseError('invalid_argument', `${JSON.stringify(text)} cannot name a role: ${fault}`);
}

function faultOf(text: string): string | undefined {
  if (text.length === 0 || text.length > BYTES_MAX) return `it must have 1 to ${BYTES_MAX} characters`;
  // Databases of one cluster may have different encodings; these characters are the same in all of them.
  if (!/^[\x20-\x7e]+$/.test(text)) return 'it must be ASCII without control characters';
  if (text.trim() !== text) return 'it must not begin or end with a space';
  if (text.startsWith('pg_')) return 'names that begin with "pg_" are Postgres’ own';
  if (RESERVED.has(text)) return 'Postgres has reserved the word';
  return undefined;
}

/** For a branch whose role was not given a name: tells which branch it is of, and that no other role is called so. */
export function roleNameFor(branch: string): string {
  const slug = branch.replaceAll(/[^a-z0-9]+/g, '_').slice(0, SLUG_LENGTH_MAX);
  const start = /^[a-z]/.test(slug) && !slug.startsWith('pg_') ? '' : 'b_';
  return `${start}${slug}_${randomBytes(3).toString('hex')}`;
}
