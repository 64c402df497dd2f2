import { expect, test } from 'vitest';
import { understood } from './slot-look.js';

const slot = { name: 'offshoot_1', systemIdentifier: '7', tli: 1 };
const answer = {
  system_identifier: '7',
  standby: false,
  tli: 1,
  flushed: '1/0',
  restart_lsn: '0/FF000000',
  slot_name: 'offshoot_1',
  wal_status: 'reserved',
  retained: '16777216',
  safe_wal_size: null,
};
const coded = (code: string, text: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(text) });

test('reads what pg_replication_slots says', () => {
  expect(understood(answer, slot)).toEqual({
    sourceLsn: 0x1_0000_0000n,
    retainedBytes: 16_777_216,
    walStatus: 'reserved',
    safeWalBytes: undefined,
  });
  // Past the limit it is negative.
  expect(understood({ ...answer, safe_wal_size: '-5' }, slot).safeWalBytes).toBe(0);
});

test.each([
  [{ system_identifier: '8' }, 'source_changed', /system identifier is 8/],
  [{ tli: 2 }, 'source_changed', /on timeline 2 \(at 1\/0\)/],
  // A promoted standby has none of its primary's slots: ours may still be where it was made.
  [{ tli: 2, slot_name: null, restart_lsn: null }, 'source_changed', /on timeline 2/],
  [{ slot_name: null, restart_lsn: null }, 'replication_slot_lost', /no replication slot/],
  [{ slot_name: null, standby: true }, 'source_changed', /standby/],
  [{ restart_lsn: null, wal_status: 'lost' }, 'replication_slot_lost', /is lost/],
  [{ wal_status: 'lost' }, 'replication_slot_lost', /is lost/],
])('%j means %s', (change, code, text) => {
  expect(() => understood({ ...answer, ...change }, slot)).toThrow(coded(code, text));
});
