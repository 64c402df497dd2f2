import type { Lsn } from '@offshoot/types';
import { computeError } from './compute-errors.js';

/** What of `pg_control` a compute's configuration depends on. */
export interface ControlFile {
  readonly systemIdentifier: bigint;
  /** Where the last checkpoint record begins: the first record of a compute's WAL. */
  readonly checkpointLsn: Lsn;
  readonly walLevel: 'minimal' | 'replica' | 'logical';
  readonly walLogHints: 'on' | 'off';
  readonly maxConnections: number;
  readonly maxWorkerProcesses: number;
  readonly maxWalSenders: number;
  readonly maxPreparedTransactions: number;
  readonly maxLocksPerTransaction: number;
  readonly trackCommitTimestamp: 'on' | 'off';
  readonly walSegmentBytes: number;
}

/** Bytes of the file; Postgres reads no shorter one. */
export const CONTROL_FILE_BYTES = 8192;

/** pg_control_version of Postgres 14 to 16, which share one layout. */
const CONTROL_VERSION = 1300;

/**
 * Offsets in ControlFileData as little-endian machines with 8-byte alignment lay it out
 * (Postgres 15, catalog/pg_control.h).
 */
const offset = {
  systemIdentifier: 0, // u64
  controlVersion: 8, // u32
  checkpoint: 32, // u64
  walLevel: 172, // i32
  walLogHints: 176, // bool
  maxConnections: 180, // i32
  maxWorkerProcesses: 184, // i32
  maxWalSenders: 188, // i32
  maxPreparedTransactions: 192, // i32
  maxLocksPerTransaction: 196, // i32
  trackCommitTimestamp: 200, // bool
  walSegmentBytes: 228, // u32
} as const;

const walLevels = ['minimal', 'replica', 'logical'] as const;

/**
 * Reads the values that Postgres, when it starts, compares with its configuration. Postgres itself checks the
 * CRC and the rest. Throws `base_backup_invalid`.
 */
export function parseControlFile(bytes: Uint8Array): ControlFile {
  if (bytes.length !== CONTROL_FILE_BYTES) {
    throw invalid(`it has ${bytes.length} bytes instead of ${CONTROL_FILE_BYTES}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint32(offset.controlVersion, true);
  if (version !== CONTROL_VERSION) {
    throw invalid(`its version is ${version} instead of ${CONTROL_VERSION}`);
  }
  const count = (field: keyof typeof offset, least: number): number => {
    const value = view.getInt32(offset[field], true);
    if (value < least) {
      throw invalid(`${field} is ${value}`);
    }
    return value;
  };
  const flag = (field: keyof typeof offset) => (bytes[offset[field]] === 0 ? 'off' : 'on');
  return {
    systemIdentifier: view.getBigUint64(offset.systemIdentifier, true),
    checkpointLsn: checkpointLsn(view.getBigUint64(offset.checkpoint, true)),
    walLevel: walLevel(view.getInt32(offset.walLevel, true)),
    walLogHints: flag('walLogHints'),
    maxConnections: count('maxConnections', 1),
    maxWorkerProcesses: count('maxWorkerProcesses', 0),
    maxWalSenders: count('maxWalSenders', 0),
    maxPreparedTransactions: count('maxPreparedTransactions', 0),
    maxLocksPerTransaction: count('maxLocksPerTransaction', 1),
    trackCommitTimestamp: flag('trackCommitTimestamp'),
    walSegmentBytes: walSegmentBytes(view.getUint32(offset.walSegmentBytes, true)),
  };
}

function checkpointLsn(value: bigint): Lsn {
  if (value === 0n) {
    throw invalid('it names no checkpoint');
  }
  return value as Lsn;
}

function walLevel(value: number): ControlFile['walLevel'] {
  const level = walLevels[value];
  if (level === undefined) {
    throw invalid(`wal_level is ${value}`);
  }
  return level;
}

/** A power of two from 1 MiB to 1 GiB, as initdb allows. */
function walSegmentBytes(value: number): number {
  const powerOfTwo = value !== 0 && (value & (value - 1)) === 0;
  if (!powerOfTwo || value < 2 ** 20 || value > 2 ** 30) {
    throw invalid(`its WAL segment size is ${value} bytes`);
  }
  return value;
}

function invalid(reason: string) {
  return computeError('base_backup_invalid', `pg_control of the base backup cannot be used: ${reason}`);
}
