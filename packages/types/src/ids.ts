import { randomBytes } from 'node:crypto';
import { baseError } from './base-errors.js';

declare const brand: unique symbol;

/** Names one Postgres cluster with all its timelines: 16 bytes as 32 lower-case hexadecimal digits. */
export type TenantId = string & { readonly [brand]: 'TenantId' };

/** Names one line of WAL history within a tenant: 16 bytes as 32 lower-case hexadecimal digits. */
export type TimelineId = string & { readonly [brand]: 'TimelineId' };

/** Where ids come from: answers that many random bytes. */
export type RandomBytes = (count: number) => Uint8Array;

const ID_BYTES = 16;

/** Upper-case digits are taken too. Throws `invalid_argument`. */
export function parseTenantId(text: string): TenantId {
  return parseId('tenant', text) as TenantId;
}

/** Upper-case digits are taken too. Throws `invalid_argument`. */
export function parseTimelineId(text: string): TimelineId {
  return parseId('timeline', text) as TimelineId;
}

export function randomTenantId(random: RandomBytes = randomBytes): TenantId {
  return randomId(random) as TenantId;
}

export function randomTimelineId(random: RandomBytes = randomBytes): TimelineId {
  return randomId(random) as TimelineId;
}

function parseId(what: string, text: string): string {
  if (!/^[0-9a-f]{32}$/i.test(text)) {
    throw baseError('invalid_argument', `${JSON.stringify(text)} is no ${what} id: 32 hexadecimal digits`);
  }
  return text.toLowerCase();
}

function randomId(random: RandomBytes): string {
  const bytes = random(ID_BYTES);
  if (bytes.length !== ID_BYTES) {
    throw new TypeError(`the source of randomness gave ${bytes.length} bytes instead of ${ID_BYTES}`);
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}
