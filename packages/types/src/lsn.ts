import { baseError } from './base-errors.js';

declare const brand: unique symbol;

/** A position in WAL: a byte offset from the beginning of history, unsigned 64 bits. */
export type Lsn = bigint & { readonly [brand]: 'Lsn' };

/** The largest LSN. A request for a page at it means "the latest there is". */
export const LSN_MAX = 0xffff_ffff_ffff_ffffn as Lsn;

/** No position; Postgres' InvalidXLogRecPtr. */
export const LSN_INVALID = 0n as Lsn;

/** A number as an LSN. Throws `invalid_argument` when it does not fit 64 unsigned bits. */
export function toLsn(value: bigint): Lsn {
  if (value < 0n || value > LSN_MAX) {
    throw baseError('invalid_argument', `${value} is no LSN: it does not fit 64 bits`);
  }
  return value as Lsn;
}

/** Two hexadecimal numbers of up to eight digits, high and low half, as Postgres writes them: `0/16B5A50`. */
export function parseLsn(text: string): Lsn {
  const match = /^([0-9a-f]{1,8})\/([0-9a-f]{1,8})$/i.exec(text);
  if (!match) {
    throw baseError('invalid_argument', `${JSON.stringify(text)} is no LSN: one looks like 0/16B5A50`);
  }
  return ((BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)) as Lsn;
}

/** As Postgres writes it: `0/16B5A50`. */
export function formatLsn(lsn: Lsn): string {
  const half = (value: bigint) => value.toString(16).toUpperCase();
  return `${half(lsn >> 32n)}/${half(lsn & 0xffff_ffffn)}`;
}
