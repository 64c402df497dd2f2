import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Lsn } from '@offshoot/types';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { DirectoryLock } from './directory-lock.js';
import { fromNative, fromThrown } from './native-errors.js';
import { TenantStore } from './tenant-store.js';

const root = mkdtempSync(join(tmpdir(), 'offshoot-engine-'));
afterAll(() => rmSync(root, { recursive: true }));

const settings = {
  mapSizeInitialBytes: 16 * 1024 * 1024,
  readersMax: 16,
  pageCacheBytes: 1024 * 1024,
  keyFilterBytes: 1024 * 1024,
};
const lsn = (value: bigint) => value as Lsn;
let dir: string;
let serial = 0;

beforeEach(() => {
  dir = join(root, String(serial++));
});

describe('a tenant store', () => {
  it('knows the timelines that it was told of', async () => {
    const store = await TenantStore.open(dir, settings);
    store.attach({ index: 1, lastRecordLsn: lsn(0x2000n), readableFrom: lsn(0x1000n) });
    const parent = { index: 1, ancestorLsn: lsn(0x1800n) };
    store.attach({ index: 2, parent, lastRecordLsn: lsn(0x1800n), readableFrom: lsn(0x1800n) });
    expect(store.lastRecordLsn(1)).toBe(0x2000n);
    expect(store.lastRecordLsn(2)).toBe(0x1800n);
    store.detach(2);
    expect(() => store.lastRecordLsn(2)).toThrow(expect.objectContaining({ code: 'engine_not_found' }));
    await store.close();
  });

  it('answers requests in place, and says what is malformed', async () => {
    const store = await TenantStore.open(dir, settings);
    store.attach({ index: 1, lastRecordLsn: lsn(0x2000n), readableFrom: lsn(0x1000n) });
    // Exists, version 2, at LSN 2000, of relation 1663/5/1259.
    const exists = Buffer.from(
      '640000002200000000000000200000000000000020000000067f00000005000004eb00',
      'hex',
    );
    const answer = await store.pages(1, 2, exists);
    expect(answer).toMatchObject({ handled: 1, waitFor: undefined, failure: undefined });
    expect(answer.reply.toString('hex')).toBe('64000000066400');
    const ahead = Buffer.from(exists);
    ahead.writeBigUInt64BE(0x3000n, 6);
    ahead.writeBigUInt64BE(0x3000n, 14);
    expect(await store.pages(1, 2, ahead)).toMatchObject({ handled: 0, waitFor: 0x3000n });
    const unknown = Buffer.from(exists);
    unknown[5] = 77;
    const { handled, failure } = await store.pages(1, 2, unknown);
    expect(handled).toBe(0);
    expect(failure).toMatchObject({ code: 'engine_request_malformed' });
    await store.close();
  });

  it('is closed once, and of no use after that', async () => {
    const store = await TenantStore.open(dir, settings);
    await Promise.all([store.close(), store.close()]);
    await store.close();
    expect(() => store.lastRecordLsn(1)).toThrow(expect.objectContaining({ code: 'engine_closed' }));
    await expect(store.stats()).rejects.toMatchObject({ code: 'engine_closed' });
    await (await TenantStore.open(dir, settings)).close();
  });

  it('has one import at a time that can be given up', async () => {
    const store = await TenantStore.open(dir, settings);
    const session = store.beginImport({
      index: 1,
      startLsn: lsn(0x200_0028n),
      tli: 1,
      segmentBytes: 16 * 1024 * 1024,
      major: 15,
      systemIdentifier: 7n,
    });
    session.beginArchive(0);
    await expect(session.finishBackup()).rejects.toMatchObject({ code: 'source_corrupt' });
    await session.abort();
    await session.abort();
    await expect(session.wal(Buffer.alloc(1))).rejects.toMatchObject({ code: 'engine_closed' });
    expect(await store.stats()).toMatchObject({ versions: 0, extents: 0 });
    await store.close();
  });

  it('does not open over files that are not its own', async () => {
    writeFileSync(dir, 'a file');
    await expect(TenantStore.open(dir, settings)).rejects.toMatchObject({ code: 'storage_io' });
  });
});

it('locks a directory for one holder', () => {
  mkdirSync(dir);
  const lock = DirectoryLock.take(dir);
  expect(() => DirectoryLock.take(dir)).toThrow(expect.objectContaining({ code: 'directory_locked' }));
  lock.release();
  lock.release();
  DirectoryLock.take(dir).release();
});

describe('an error of the addon', () => {
  it.each([
    ['locked', 'directory_locked', 'fix'],
    ['disk_full', 'disk_full', 'alert'],
    ['busy', 'engine_busy', 'retry'],
    ['unsupported_record', 'unsupported_record', 'alert'],
    ['never_heard_of', 'engine_failed', 'alert'],
  ])('%s becomes %s, of kind %s', (code, ours, kind) => {
    const error = fromNative({ code, message: 'so it is', details: { lsn: '0/1' } });
    expect(error).toMatchObject({ code: ours, kind, message: 'so it is' });
    expect(error.details).toEqual({ lsn: '0/1', native_code: code });
  });

  it('keeps what was thrown as its cause', () => {
    const thrown = Object.assign(new Error('no'), { code: 'io' });
    expect(fromThrown(thrown)).toMatchObject({ code: 'storage_io', cause: thrown });
    expect(fromThrown('odd')).toMatchObject({ code: 'engine_failed', message: 'odd' });
  });
});
