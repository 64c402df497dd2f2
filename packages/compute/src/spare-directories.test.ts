import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  type ComputePlaces,
  computePaths,
  computePlaces,
  isComputeId,
  randomComputeId,
} from './compute-paths.js';
import { DataDirectory } from './data-directory.js';
import { type OsUser, resolveOsUser } from './os-user.js';
import { SpareDirectories, socketDirectoryOf } from './spare-directories.js';

let data: string;
let places: ComputePlaces;
let owner: OsUser;

beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'offshoot-spares-'));
  await chmod(data, 0o711);
  places = computePlaces(data);
  owner = await resolveOsUser();
  await mkdir(places.computes);
  await mkdir(places.run);
});
afterEach(() => rm(data, { recursive: true, force: true }));

const open = (sparesMax: number, newId = randomComputeId) =>
  new SpareDirectories({ places, owner, newId, sparesMax, files: 3 });
const inComputes = () => readdir(places.computes);

test('so many are kept, and are of the OS user', async () => {
  const spares = open(2);
  expect(spares.take()).toBeUndefined();
  await Promise.all([spares.refill(), spares.refill()]);
  expect(await inComputes()).toHaveLength(2);
  const spare = spares.take();
  const id = spare?.id ?? '';
  expect(isComputeId(id)).toBe(true);
  const { dataDirectory, socketRecord } = computePaths(places, id);
  const directories = [...(spare?.made ?? [])].map((path) => join(dataDirectory, path));
  for (const path of [...directories, socketDirectoryOf(places, id, owner)]) {
    const { uid, mode } = await lstat(path);
    expect([path, uid, mode & 0o777]).toEqual([path, owner.uid, 0o700]);
  }
  expect((await lstat(socketRecord)).isFile()).toBe(true);
  expect(spare?.files).toBe(3);
  for (const [name, bytes] of [
    ['0', 0],
    ['2', 0],
    ['next', 4],
  ] as const) {
    const { uid, mode, size } = await lstat(join(dataDirectory, 'offshoot/spare', name));
    expect([name, uid, mode & 0o777, size]).toEqual([name, owner.uid, 0o600, bytes]);
  }
  await spares.refill();
  expect(await inComputes()).toHaveLength(3);
});

test('what is in one goes on from there', async () => {
  const spares = open(1);
  await spares.refill();
  const spare = spares.take();
  const { dataDirectory } = computePaths(places, spare?.id ?? '');
  const limits = { archiveBytesMax: 1, archiveEntriesMax: 1 };
  const directory = DataDirectory.create(dataDirectory, owner, limits, spare);
  expect(directory.writeToken('secret')).toBe(join(dataDirectory, 'offshoot/token'));
  expect(await readFile(join(dataDirectory, 'offshoot/token'), 'utf8')).toBe('secret');
  expect(await lstat(join(dataDirectory, 'offshoot/token'))).toMatchObject({
    uid: owner.uid,
    mode: 0o100600,
  });
  expect(directory.spareFiles).toBe(2);
  expect(await readdir(join(dataDirectory, 'offshoot/spare'))).toEqual(['0', '1', 'next']);
  expect(await readdir(join(dataDirectory, 'pg_wal'))).toEqual(['archive_status']);
});

test('at the end none is left, not even one that is being made', async () => {
  const spares = open(3);
  const making = spares.refill();
  await spares.close();
  await making;
  expect([await inComputes(), await readdir(places.run)]).toEqual([[], []]);
  await spares.refill();
  expect([await inComputes(), spares.take()]).toEqual([[], undefined]);
});

test('one that cannot be made is none, and leaves what was there', async () => {
  const id = randomComputeId();
  await writeFile(join(places.run, id), 'somebody’s');
  const spares = open(1, () => id);
  await spares.refill();
  expect([spares.take(), spares.has(id), await inComputes(), await readdir(places.run)]).toEqual([
    undefined,
    false,
    [],
    [id],
  ]);
});
