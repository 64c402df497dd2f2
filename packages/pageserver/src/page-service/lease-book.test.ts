import type { Lsn, TimelineId } from '@offshoot/types';
import { expect, test } from 'vitest';
import { MemoryLeaseBook, normalizedLsn } from './lease-book.js';
import { OTHER_TENANT, TENANT, TIMELINE } from './testing/fake-page-source.js';

const MIB = 1024 * 1024;
const OTHER_TIMELINE = 'ab'.repeat(16) as TimelineId;
const lsn = (value: number) => BigInt(value) as Lsn;

test('a lease holds until its end, and is never shortened', async () => {
  let now = 1000;
  const book = new MemoryLeaseBook({ leaseMs: 600, leasesMax: 10, now: () => now });
  expect(await book.grant(TENANT, TIMELINE, lsn(64))).toBe(1600);
  now = 1100;
  expect(await book.grant(TENANT, TIMELINE, lsn(64))).toBe(1700);
  now = 1050;
  expect(await book.grant(TENANT, TIMELINE, lsn(64))).toBe(1700);
  expect(book.validUntil(TENANT, TIMELINE, lsn(64))).toBe(1700);
  expect(book.validUntil(TENANT, TIMELINE, lsn(72))).toBeUndefined();
  expect(book.validUntil(OTHER_TENANT, TIMELINE, lsn(64))).toBeUndefined();
  now = 1700;
  expect(book.validUntil(TENANT, TIMELINE, lsn(64))).toBeUndefined();
});

test('leases are bounded; ended ones make room', async () => {
  let now = 0;
  const book = new MemoryLeaseBook({ leaseMs: 100, leasesMax: 2, now: () => now });
  await book.grant(TENANT, TIMELINE, lsn(8));
  await book.grant(TENANT, TIMELINE, lsn(16));
  await expect(book.grant(TENANT, TIMELINE, lsn(24))).rejects.toMatchObject({ code: 'too_many_leases' });
  expect(await book.grant(TENANT, TIMELINE, lsn(8))).toBe(100);
  now = 100;
  expect(await book.grant(TENANT, TIMELINE, lsn(24))).toBe(200);
});

test.each([
  ['a record inside a page', 0x1234_5678, 0x1234_5678],
  ['a record that is not aligned', 0x1234_5671, 0x1234_5678],
  ['the start of a page', 8192, 8192 + 24],
  ['behind the header of a page', 8192 + 24, 8192 + 24],
  ['almost the start of a page', 8191, 8192 + 24],
  ['the start of a segment', 16 * MIB, 16 * MIB + 40],
  ['behind the header of a segment', 16 * MIB + 40, 16 * MIB + 40],
])('%s has one spelling', (_name, value, expected) => {
  expect(normalizedLsn(lsn(value), 16 * MIB)).toBe(BigInt(expected));
});

test('what leases keep of a timeline, as long as they hold', async () => {
  let now = 1000;
  const book = new MemoryLeaseBook({ leaseMs: 100, leasesMax: 3, now: () => now });
  await book.grant(TENANT, TIMELINE, lsn(64), [lsn(64), lsn(60)]);
  await book.grant(TENANT, OTHER_TIMELINE, lsn(72));
  now = 1050;
  await book.grant(TENANT, TIMELINE, lsn(64), [lsn(64)]);
  await book.grant(TENANT, TIMELINE, lsn(80));
  expect(book.held(TIMELINE)).toEqual([lsn(64), lsn(60), lsn(80)]);
  now = 1120;
  expect(book.held(OTHER_TIMELINE)).toEqual([]);
  expect(book.held(TIMELINE)).toHaveLength(3);
  now = 1200;
  expect(book.held(TIMELINE)).toEqual([]);
  // What was kept before it ended may be gone.
  await book.grant(TENANT, TIMELINE, lsn(64), [lsn(64)]);
  expect(book.held(TIMELINE)).toEqual([lsn(64)]);
});
