import { lstat, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { computeError } from './compute-errors.js';
import { DataDirectory } from './data-directory.js';
import { type ArchiveItem, archiveOf, inPieces } from './fixture/archive-of.js';
import { type OsUser, resolveOsUser } from './os-user.js';

const segment = 'pg_wal/000000010000000000000003';
const limits = { archiveBytesMax: 1024 * 1024, archiveEntriesMax: 100 };

function pgControl(): Buffer {
  const bytes = Buffer.alloc(8192);
  bytes.writeUInt32LE(1300, 8);
  bytes.writeBigUInt64LE(0x100028n, 32);
  bytes.writeInt32LE(1, 172);
  bytes.writeInt32LE(100, 180);
  bytes.writeInt32LE(64, 196);
  bytes.writeUInt32LE(1024 * 1024, 228);
  return bytes;
}

const least: ArchiveItem[] = [
  { header: { name: 'global', type: 'directory' } },
  { header: { name: 'pg_wal/archive_status', type: 'directory' } },
  { header: { name: 'base/5/PG_VERSION' }, body: '15\n' },
  { header: { name: 'global/pg_control' }, body: pgControl() },
  { header: { name: segment }, body: Buffer.alloc(8192, 7) },
];

describe('a data directory from a base backup', () => {
  let parent: string;
  let path: string;
  let owner: OsUser;
  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), 'offshoot-test-'));
    path = join(parent, 'pgdata');
    owner = await resolveOsUser();
  });
  afterEach(() => rm(parent, { recursive: true }));

  async function unpack(items: ArchiveItem[], pieceBytes = 100_000): Promise<DataDirectory> {
    const directory = DataDirectory.create(path, owner, limits);
    await directory.unpack(inPieces(await archiveOf(items), pieceBytes));
    return directory;
  }

  test.each([1, 511, 512, 100_000])('is the same however the bytes arrive: %i at a time', async (pieces) => {
    const large = Buffer.alloc(70_000, 'clog');
    await unpack([...least, { header: { name: 'pg_xact/0000' }, body: large }], pieces);
    expect(large.equals(await readFile(join(path, 'pg_xact/0000')))).toBe(true);
    expect(await readFile(join(path, 'base/5/PG_VERSION'), 'utf8')).toBe('15\n');
    expect((await readdir(path)).sort()).toEqual(['base', 'global', 'pg_wal', 'pg_xact']);
  });

  test('belongs to Postgres’ user alone', async () => {
    const directory = await unpack([...least, { header: { name: 'x' }, body: Buffer.alloc(100_000) }]);
    directory.complete(directory.controlFile(), {});
    directory.writeToken('secret');
    const files = await readdir(path, { recursive: true });
    for (const name of ['.', ...files]) {
      const found = await lstat(join(path, name));
      expect({ name, uid: found.uid, gid: found.gid, others: found.mode & 0o077 }).toEqual({
        name,
        uid: owner.uid,
        gid: owner.gid,
        others: 0,
      });
    }
  });

  test('gets its WAL segment whole but sparse, its configuration, and the library’s state', async () => {
    const directory = await unpack(least);
    directory.complete(directory.controlFile(), { work_mem: '4MB' });
    const wal = await lstat(join(path, segment));
    expect({ size: wal.size, bytesOnDisk: wal.blocks * 512 <= 16_384 }).toEqual({
      size: 1024 * 1024,
      bytesOnDisk: true,
    });
    expect(await readFile(join(path, 'postgresql.conf'), 'utf8')).toBe("work_mem = '4MB'\n");
    expect(await readFile(join(path, 'pg_hba.conf'), 'utf8')).toContain('local all all trust');
    expect((await readdir(join(path, 'offshoot'))).sort()).toEqual(['gone', 'map', 'tmp']);
  });

  test('has none of production’s replication slots and of what would start a recovery', async () => {
    await unpack([
      ...least,
      { header: { name: 'pg_replslot', type: 'directory' } },
      { header: { name: 'pg_replslot/prod', type: 'directory' } },
      { header: { name: 'pg_replslot/prod/state' }, body: 'x' },
      { header: { name: 'backup_label' }, body: 'x' },
    ]);
    expect(await readdir(join(path, 'pg_replslot'))).toEqual([]);
    expect(await readdir(path)).not.toContain('backup_label');
  });

  test.each<[string, ArchiveItem[], string]>([
    ['a path that leads out', [{ header: { name: '../escaped' }, body: 'x' }], 'the path "../escaped"'],
    ['an absolute path', [{ header: { name: '/escaped' }, body: 'x' }], 'the path'],
    ['a link', [{ header: { name: 'base', type: 'symlink', linkname: '/etc' } }], 'a symlink at base'],
    ['too many bytes', [{ header: { name: 'x' }, body: Buffer.alloc(1024 * 1024) }], 'larger than'],
    [
      'too many entries',
      Array.from({ length: 100 }, (_, at) => ({ header: { name: `${at}` }, body: 'x' })),
      'larger than',
    ],
  ])('%s is refused', async (_what, items, words) => {
    await expect(unpack([...least, ...items])).rejects.toMatchObject({
      code: 'base_backup_invalid',
      message: expect.stringContaining(words),
    });
    expect(await readdir(parent)).toEqual(['pgdata']);
  });

  test.each<[string, (archive: Buffer) => Buffer]>([
    ['is cut off', (archive) => archive.subarray(0, 3000)],
    ['is no archive', () => Buffer.alloc(2048, 'x')],
  ])('what %s is refused', async (_what, damage) => {
    const directory = DataDirectory.create(path, owner, limits);
    const bytes = damage(await archiveOf(least));
    await expect(directory.unpack(inPieces(bytes, 700))).rejects.toMatchObject({
      code: 'base_backup_invalid',
      message: expect.stringContaining('no tar archive'),
    });
  });

  test.each([0, 100, 3000])('the source’s own error comes through, after %i bytes', async (bytes) => {
    const reason = computeError('base_backup_interrupted', 'gone');
    const archive = await archiveOf(least);
    async function* source() {
      yield* inPieces(archive.subarray(0, bytes), 512);
      throw reason;
    }
    const directory = DataDirectory.create(path, owner, limits);
    await expect(directory.unpack(source())).rejects.toBe(reason);
  });

  test.each<[string, (item: ArchiveItem) => boolean, string]>([
    ['pg_control', (item) => !item.header.name.endsWith('pg_control'), 'no global/pg_control'],
    ['WAL', (item) => item.header.name !== segment, '0 WAL segments'],
  ])('one without %s is refused', async (_what, keep, words) => {
    const directory = await unpack(least.filter(keep));
    expect(() => directory.complete(directory.controlFile(), {})).toThrow(words);
  });
});
