import type { Lsn } from '@offshoot/types';
import { backendProtocolError } from './backend-deframer.js';

/**
 * Bodies of the CopyData messages of Postgres' streaming replication and base backup protocols. All integers are
 * big-endian; times are microseconds since 2000-01-01.
 *
 * ```text
 * XLogData      'w' start u64, server's WAL end u64, sent i64, WAL bytes
 * keepalive     'k' server's WAL end u64, sent i64, reply wanted u8
 * status update 'r' written u64, flushed u64, applied u64, sent i64, reply wanted u8
 * new archive   'n' name, NUL, tablespace's path (empty: the main one), NUL
 * archive data  'd' tar bytes
 * progress      'p' bytes done so far u64
 * ```
 */
export const ReplicationTag = {
  XLogData: 0x77,
  Keepalive: 0x6b,
  StatusUpdate: 0x72,
  NewArchive: 0x6e,
  /** Tar bytes. */
  ArchiveData: 0x64,
  Progress: 0x70,
  Manifest: 0x6d,
} as const;

/** Bytes of an XLogData message before the WAL. */
export const XLOG_DATA_HEADER_BYTES = 25;

const KEEPALIVE_BYTES = 18;
const STATUS_UPDATE_BYTES = 34;
/** From 1970 to 2000. */
const POSTGRES_EPOCH_MS = 946_684_800_000;

export interface XLogDataHeader {
  /** LSN of the first WAL byte that follows. */
  readonly start: Lsn;
  /** Where the server's WAL ends at present. */
  readonly serverEnd: Lsn;
  readonly sentAtMs: number;
}

export interface Keepalive {
  readonly serverEnd: Lsn;
  readonly sentAtMs: number;
  readonly reply: 'wanted' | 'not-wanted';
}

/** What a standby has of the WAL. */
export interface StandbyStatus {
  readonly written: Lsn;
  readonly flushed: Lsn;
  readonly applied: Lsn;
  readonly sentAtMs: number;
  readonly reply: 'wanted' | 'not-wanted';
}

export interface NewArchive {
  /** `base.tar`, or a tablespace's oid and `.tar`. */
  readonly name: string;
  /** The tablespace's path on the server; empty for the main archive. */
  readonly location: string;
}

/** Throws `source_protocol_violation` when `head` is too short. */
export function readXLogDataHeader(head: Buffer): XLogDataHeader {
  expectBytes(head, XLOG_DATA_HEADER_BYTES, 'XLogData');
  return {
    start: head.readBigUInt64BE(1) as Lsn,
    serverEnd: head.readBigUInt64BE(9) as Lsn,
    sentAtMs: fromPostgresTime(head.readBigInt64BE(17)),
  };
}

/** Throws `source_protocol_violation` when `body` is too short. */
export function readKeepalive(body: Buffer): Keepalive {
  expectBytes(body, KEEPALIVE_BYTES, 'keepalive');
  return {
    serverEnd: body.readBigUInt64BE(1) as Lsn,
    sentAtMs: fromPostgresTime(body.readBigInt64BE(9)),
    reply: body[17] === 1 ? 'wanted' : 'not-wanted',
  };
}

/** The body of a status update; it goes into a CopyData message. */
export function writeStatusUpdate(status: StandbyStatus): Buffer {
  const body = Buffer.alloc(STATUS_UPDATE_BYTES);
  body[0] = ReplicationTag.StatusUpdate;
  body.writeBigUInt64BE(status.written, 1);
  body.writeBigUInt64BE(status.flushed, 9);
  body.writeBigUInt64BE(status.applied, 17);
  body.writeBigInt64BE(BigInt(Math.round(status.sentAtMs) - POSTGRES_EPOCH_MS) * 1000n, 25);
  body[33] = status.reply === 'wanted' ? 1 : 0;
  return body;
}

/** Throws `source_protocol_violation` when the two texts are not there. */
export function readNewArchive(body: Buffer): NewArchive {
  const nameEnd = body.indexOf(0, 1);
  const locationEnd = nameEnd < 0 ? -1 : body.indexOf(0, nameEnd + 1);
  if (locationEnd < 0) {
    throw backendProtocolError('source_protocol_violation', 'the server sent a malformed archive header');
  }
  return {
    name: body.toString('utf8', 1, nameEnd),
    location: body.toString('utf8', nameEnd + 1, locationEnd),
  };
}

/** Milliseconds since 1970; whole microseconds do not survive. */
function fromPostgresTime(microseconds: bigint): number {
  return Number(microseconds / 1000n) + POSTGRES_EPOCH_MS;
}

function expectBytes(body: Buffer, count: number, name: string): void {
  if (body.length < count) {
    throw backendProtocolError(
      'source_protocol_violation',
      `the server sent ${body.length} bytes as ${name}, which has at least ${count}`,
    );
  }
}
