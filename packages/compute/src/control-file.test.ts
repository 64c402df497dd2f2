import { describe, expect, test } from 'vitest';
import { parseControlFile } from './control-file.js';

/** What Postgres 15 would write for the defaults of initdb, as far as it is read. */
function controlFile(change: (bytes: Buffer) => void = () => undefined): Buffer {
  const bytes = Buffer.alloc(8192);
  bytes.writeBigUInt64LE(7_300_000_000_000_000_001n, 0);
  bytes.writeUInt32LE(1300, 8);
  bytes.writeBigUInt64LE(0x1_0150_0028n, 32);
  bytes.writeInt32LE(1, 172);
  bytes[176] = 1;
  for (const [at, value] of [
    [180, 100],
    [184, 8],
    [188, 10],
    [192, 3],
    [196, 64],
  ] as const) {
    bytes.writeInt32LE(value, at);
  }
  bytes.writeUInt32LE(16 * 1024 * 1024, 228);
  change(bytes);
  return bytes;
}

describe('pg_control', () => {
  test('gives what the configuration depends on', () => {
    expect(parseControlFile(controlFile())).toEqual({
      systemIdentifier: 7_300_000_000_000_000_001n,
      checkpointLsn: 0x1_0150_0028n,
      walLevel: 'replica',
      walLogHints: 'on',
      maxConnections: 100,
      maxWorkerProcesses: 8,
      maxWalSenders: 10,
      maxPreparedTransactions: 3,
      maxLocksPerTransaction: 64,
      trackCommitTimestamp: 'off',
      walSegmentBytes: 16 * 1024 * 1024,
    });
  });

  test.each<[string, Buffer, string]>([
    ['too short', controlFile().subarray(0, 296), '296 bytes'],
    ['too long', Buffer.alloc(8193), '8193 bytes'],
    ['another version', controlFile((b) => b.writeUInt32LE(1700, 8)), 'version is 1700'],
    ['no checkpoint', controlFile((b) => b.writeBigUInt64LE(0n, 32)), 'names no checkpoint'],
    ['no WAL level', controlFile((b) => b.writeInt32LE(3, 172)), 'wal_level is 3'],
    ['a negative WAL level', controlFile((b) => b.writeInt32LE(-1, 172)), 'wal_level is -1'],
    ['no connections', controlFile((b) => b.writeInt32LE(0, 180)), 'maxConnections is 0'],
    ['negative slots', controlFile((b) => b.writeInt32LE(-5, 192)), 'maxPreparedTransactions is -5'],
    ['no segment size', controlFile((b) => b.writeUInt32LE(0, 228)), 'size is 0'],
    ['a crooked segment size', controlFile((b) => b.writeUInt32LE(3 << 20, 228)), 'size is 3145728'],
    ['a huge segment size', controlFile((b) => b.writeUInt32LE(2 ** 31, 228)), 'size is 2147483648'],
  ])('%s is refused', (_what, bytes, reason) => {
    expect(() => parseControlFile(bytes)).toThrow(reason);
  });
});
