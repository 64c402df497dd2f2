import type { Lsn } from '@offshoot/types';
import { describe, expect, test } from 'vitest';
import { resolveComputeSettings } from './compute-settings.js';
import { fileParameters, fixedParameters, formatParameters, parameterArguments } from './configuration.js';
import type { ControlFile } from './control-file.js';

const MIB = 1024 * 1024;

const control: ControlFile = {
  systemIdentifier: 1n,
  checkpointLsn: 0x1500028n as Lsn,
  walLevel: 'replica',
  walLogHints: 'off',
  maxConnections: 100,
  maxWorkerProcesses: 8,
  maxWalSenders: 10,
  maxPreparedTransactions: 0,
  maxLocksPerTransaction: 64,
  trackCommitTimestamp: 'off',
  walSegmentBytes: 16 * MIB,
};

const places = (socketDirectory: string) => ({ socketDirectory, port: 5433, dataDirectory: '/data' });

describe('the configuration of a compute', () => {
  test.each<[string, Partial<ControlFile>, Parameters<typeof resolveComputeSettings>[0], string, string]>([
    ['production had more connections', { maxConnections: 500 }, {}, 'max_connections', '500'],
    ['production had fewer connections', { maxConnections: 20 }, {}, 'max_connections', '250'],
    ['room for prepared transactions', { maxPreparedTransactions: 7 }, {}, 'max_prepared_transactions', '7'],
    ['production had few WAL senders', { maxWalSenders: 0 }, {}, 'max_wal_senders', '4'],
    ['production had many WAL senders', { maxWalSenders: 20 }, {}, 'max_wal_senders', '20'],
    ['commits wait', {}, {}, 'synchronous_commit', 'on'],
    ['minimal WAL is raised', { walLevel: 'minimal' }, {}, 'wal_level', 'replica'],
    ['logical WAL is kept', { walLevel: 'logical' }, {}, 'wal_level', 'logical'],
    ['WAL hints are kept', { walLogHints: 'on' }, {}, 'wal_log_hints', 'on'],
    ['two large segments', { walSegmentBytes: 1024 * MIB }, {}, 'max_wal_size', '2048MB'],
    ['the least of WAL', { walSegmentBytes: 64 * MIB }, {}, 'min_wal_size', '128MB'],
    ['bytes become kilobytes', {}, { sharedBuffersBytes: 3 * MIB }, 'shared_buffers', '3072kB'],
    ['seconds keep their unit', {}, { autovacuumNaptimeSeconds: 5 }, 'autovacuum_naptime', '5s'],
    ['a chosen parameter wins', {}, { parameters: { jit: 'on' } }, 'jit', 'on'],
  ])('%s', (_what, changes, settings, name, value) => {
    const parameters = fileParameters(resolveComputeSettings(settings), { ...control, ...changes });
    expect(parameters[name]).toBe(value);
  });

  test.each<[string, string, string]>([
    ['archive_mode', 'on', 'archive_mode cannot be chosen'],
    ['hba_file', '/etc/pg_hba.conf', 'hba_file cannot be chosen'],
    ['ssl', 'on', 'ssl cannot be chosen'],
    ['Listen_Addresses', '*', 'Listen_Addresses cannot be chosen'],
    ['cron.launch_active_jobs', 'on', 'cannot be chosen'],
    ['synchronous_standby_names', '', 'synchronous_standby_names cannot be chosen'],
    ['max_wal_senders', '3', 'at least 4'],
    ['Max_Replication_Slots', 'x', 'at least 4'],
    ['a b', 'x', 'cannot name'],
    ["x'", 'x', 'cannot name'],
    ['x', 'a\nb', 'control character'],
  ])('the parameter %j is refused', (name, value, reason) => {
    const settings = resolveComputeSettings({ parameters: { [name]: value } });
    expect(() => fileParameters(settings, control)).toThrow(reason);
  });

  test.each<[string, Record<string, number>]>([
    ['sharedBuffersBytes', { sharedBuffersBytes: 1 }],
    ['maxConnections', { maxConnections: 1.5 }],
    ['readAheadPages', { readAheadPages: -1 }],
    ['workMemBytes', { workMemBytes: Number.NaN }],
  ])('%s has limits', (name, settings) => {
    expect(() => resolveComputeSettings(settings)).toThrow(name);
  });

  test('values and paths are quoted', () => {
    expect(formatParameters({ a: "it's", b: 'c:\\x' })).toBe("a = 'it''s'\nb = 'c:\\\\x'\n");
    expect(parameterArguments({ a: '1', b: '' })).toEqual(['-c', 'a=1', '-c', 'b=']);
    const fixed = fixedParameters(places('/a, b"c'), { durability: 'sync', unsentWalBytesMax: 64 * MIB });
    expect(fixed.unix_socket_directories).toBe('"/a, b""c"');
  });

  test.each([
    ['sync', 'offshoot'],
    ['async', ''],
    ['none', ''],
  ] as const)('durability %s: synchronous_standby_names is %j', (durability, names) => {
    const fixed = fixedParameters(places('/run'), { durability, unsentWalBytesMax: 64 * MIB });
    expect(fixed).toMatchObject({ synchronous_standby_names: names, max_slot_wal_keep_size: '64MB' });
  });
});
