import type { Lsn } from '@offshoot/types';
import { describe, expect, it } from 'vitest';
import { BackendDeframer } from './backend-deframer.js';
import { CopyDataCutter } from './copy-data-cutter.js';
import {
  ReplicationTag,
  readKeepalive,
  readNewArchive,
  readXLogDataHeader,
  writeStatusUpdate,
  XLOG_DATA_HEADER_BYTES,
} from './replication.js';

function message(type: string, body: Buffer): Buffer {
  const header = Buffer.alloc(5);
  header.write(type, 'latin1');
  header.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

function xlogData(start: bigint, wal: Buffer): Buffer {
  const head = Buffer.alloc(XLOG_DATA_HEADER_BYTES);
  head[0] = ReplicationTag.XLogData;
  head.writeBigUInt64BE(start, 1);
  head.writeBigUInt64BE(start + 0x1000n, 9);
  head.writeBigInt64BE(1_500_000n, 17);
  return Buffer.concat([head, wal]);
}

/** Everything that comes out of `bytes` when they arrive in chunks of `chunkBytes`. */
function received(bytes: Buffer, chunkBytes: number) {
  const found = { frames: [] as string[], heads: [] as string[], payload: Buffer.alloc(0) };
  const cutter = new CopyDataCutter(
    (tag) => (tag === ReplicationTag.XLogData ? XLOG_DATA_HEADER_BYTES : 'whole'),
    {
      head: (head) => found.heads.push(head.toString('hex')),
      payload: (piece) => {
        found.payload = Buffer.concat([found.payload, piece]);
      },
    },
  );
  const deframer = new BackendDeframer(
    {
      frame: (frame) => found.frames.push(frame.toString('hex')),
      copyData: (piece, offset, bodyBytes) => cutter.copyData(piece, offset, bodyBytes),
    },
    1000,
  );
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    deframer.push(bytes.subarray(at, at + chunkBytes));
  }
  return found;
}

describe('a stream of backend messages', () => {
  const row = message('D', Buffer.from('a row, longer than a header'));
  const ready = message('Z', Buffer.from('I'));
  const wal = Buffer.from(Array.from({ length: 300 }, (_, index) => index & 0xff));
  const keepalive = Buffer.concat([Buffer.from('k'), Buffer.alloc(16), Buffer.from([1])]);
  const stream = Buffer.concat([
    row,
    message('d', xlogData(0x16b5a50n, wal.subarray(0, 120))),
    message('d', Buffer.alloc(0)),
    message('d', keepalive),
    message('d', xlogData(0x16b5a50n + 120n, wal.subarray(120))),
    ready,
  ]);

  it.each([1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 31, 100, 499, 10_000])(
    'comes out the same in chunks of %i bytes',
    (chunkBytes) => {
      const found = received(stream, chunkBytes);
      expect(found.frames).toEqual([row.toString('hex'), ready.toString('hex')]);
      expect(found.heads).toHaveLength(3);
      expect(found.heads[1]).toBe(keepalive.toString('hex'));
      expect(found.payload.equals(wal)).toBe(true);
    },
  );

  it.each([
    ['a length of three', Buffer.from('5a00000003', 'hex')],
    ['a row beyond the limit', message('D', Buffer.alloc(1000))],
    ['a length of 2 GB', Buffer.from('4480000000', 'hex')],
    ['XLogData without its header', message('d', Buffer.from('w123'))],
    ['a keepalive beyond the limit for heads', message('d', Buffer.alloc(70_000, 'k'))],
  ])('refuses %s', (_, bytes) => {
    expect(() => received(bytes, 10_000)).toThrow(
      expect.objectContaining({ code: 'source_protocol_violation' }),
    );
  });
});

describe('replication messages', () => {
  it('reads an XLogData header', () => {
    expect(readXLogDataHeader(xlogData(0x1_0000_0028n, Buffer.alloc(0)))).toEqual({
      start: 0x1_0000_0028n,
      serverEnd: 0x1_0000_1028n,
      sentAtMs: Date.UTC(2000, 0, 1) + 1500,
    });
  });

  it('reads a keepalive', () => {
    const body = Buffer.from('6b00000000016b5a50000000000000000001', 'hex');
    expect(readKeepalive(body)).toEqual({
      serverEnd: 0x16b5a50n,
      sentAtMs: Date.UTC(2000, 0, 1),
      reply: 'wanted',
    });
    expect(() => readKeepalive(body.subarray(0, 17))).toThrow(/17 bytes as keepalive/);
  });

  it('writes a status update', () => {
    const body = writeStatusUpdate({
      written: 3n as Lsn,
      flushed: 2n as Lsn,
      applied: 1n as Lsn,
      sentAtMs: Date.UTC(2000, 0, 1) + 1,
      reply: 'not-wanted',
    });
    expect(body.toString('hex')).toBe(
      '72000000000000000300000000000000020000000000000001' + '00000000000003e800',
    );
  });

  it.each([
    ['n', 'base.tar\0\0', { name: 'base.tar', location: '' }],
    ['n', '16999.tar\0/srv/fast disk\0', { name: '16999.tar', location: '/srv/fast disk' }],
  ])('reads an archive header %s%j', (tag, text, archive) => {
    expect(readNewArchive(Buffer.from(tag + text))).toEqual(archive);
  });

  it.each(['n', 'nbase.tar', 'nbase.tar\0', 'nbase.tar\0/srv'])('refuses an archive header %j', (text) => {
    expect(() => readNewArchive(Buffer.from(text))).toThrow(/malformed archive header/);
  });
});
