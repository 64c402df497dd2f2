import { expect, test } from 'vitest';
import { judgeFacts, storageCheck } from './judge-facts.js';
import type { SourceFacts } from './source-facts.js';

const good: SourceFacts = {
  user: 'replicator',
  database: 'shop',
  serverVersionNum: 150_018,
  inRecovery: false,
  mayReplicate: true,
  walLevel: 'replica',
  walSendersMax: 10,
  walSendersUsed: 1,
  slotsMax: 10,
  slotsUsed: 1,
  connectionsMax: 100,
  connectionsUsed: 10,
  slotKeepMb: 65_536,
  databaseBytes: 10e9,
  databasesUnseen: 0,
  foreignManagers: [],
  slotsLeft: [],
};

test('nothing is wrong with a source that is as it should be', () => {
  expect(judgeFacts(good).map(({ state }) => state)).not.toContain('failed');
  expect(judgeFacts(good).flatMap(({ fix }) => fix ?? [])).toEqual([]);
});

test.each<[string, Partial<SourceFacts>, string, string, RegExp]>([
  ['another major', { serverVersionNum: 160_004 }, 'version', 'failed', /^$/],
  ['a standby', { inRecovery: true }, 'primary', 'failed', /primary/],
  ['no rights', { mayReplicate: false, user: 'a"b' }, 'role', 'failed', /^ALTER ROLE "a""b" REPLICATION;$/],
  ['minimal WAL', { walLevel: 'minimal' }, 'wal_level', 'failed', /wal_level = 'replica'[\s\S]*restart/],
  ['no senders', { walSendersUsed: 9 }, 'wal_senders', 'failed', /max_wal_senders = 16;/],
  ['no slots', { slotsUsed: 10 }, 'replication_slots', 'failed', /max_replication_slots = 16;/],
  ['no limit', { slotKeepMb: -1 }, 'slot_limit', 'warning', /max_slot_wal_keep_size[\s\S]*reload/],
  ['few connections', { connectionsUsed: 95 }, 'connections', 'warning', /^$/],
  ['foreign WAL', { foreignManagers: ['rum'] }, 'wal_of_extensions', 'failed', /^$/],
  [
    'a slot of ours',
    { slotsLeft: ['offshoot_0'] },
    'slots_left',
    'warning',
    /drop_replication_slot\('offshoot_0'\)/,
  ],
])('%s', (_name, facts, name, state, fix) => {
  const check = judgeFacts({ ...good, ...facts }).find((each) => each.name === name);
  expect(check).toMatchObject({ state });
  expect((check?.fix ?? []).join('\n')).toMatch(fix);
});

test('an import has to have room', () => {
  expect(storageCheck(good, 9e9)).toMatchObject({ state: 'ok', found: expect.stringContaining('10.0 GB') });
  expect(storageCheck(good, 7e9).state).toBe('failed');
  expect(storageCheck({ ...good, databasesUnseen: 2 }, 9e9).found).toContain('2 databases');
});
