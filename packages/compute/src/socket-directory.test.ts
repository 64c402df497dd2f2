import { chmod, lstat, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type OsUser, resolveOsUser } from './os-user.js';
import { chooseSocketDirectory, makeSocketDirectory, removeSocketDirectory } from './socket-directory.js';

describe('the choice of a socket directory', () => {
  const long = `/${'x'.repeat(100)}`;
  // 107 bytes with the slash, the id, another slash and the file's name.
  const longest = `/${'x'.repeat(107 - '//c1/.s.PGSQL.5432'.length)}`;

  test.each([
    ['/data/run', ['/tmp'], '/data/run/c1'],
    [longest, ['/tmp'], `${longest}/c1`],
    [`${longest}x`, ['/tmp'], '/tmp/offshoot-c1'],
    [long, [long, '/tmp'], '/tmp/offshoot-c1'],
  ])('%s', (preferred, temporary, chosen) => {
    expect(chooseSocketDirectory(preferred, 'c1', 5432, temporary)).toBe(chosen);
  });

  test('bytes count, not characters', () => {
    expect(chooseSocketDirectory(`/${'ä'.repeat(50)}`, 'c1', 5432, ['/tmp'])).toBe('/tmp/offshoot-c1');
  });

  test('none is short enough', () => {
    expect(() => chooseSocketDirectory(long, 'c1', 5432, [long])).toThrow('short enough');
  });
});

describe('a socket directory', () => {
  let parent: string;
  let owner: OsUser;
  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), 'offshoot-test-'));
    await chmod(parent, 0o711);
    owner = await resolveOsUser();
  });
  afterEach(() => rm(parent, { recursive: true }));

  const isThere = (path: string) =>
    lstat(path).then(
      () => true,
      () => false,
    );

  test('is its owner’s alone, and goes with all in it', async () => {
    const directory = join(parent, 'c1');
    await makeSocketDirectory(directory, owner);
    expect(await lstat(directory)).toMatchObject({ uid: owner.uid, gid: owner.gid });
    expect((await lstat(directory)).mode & 0o777).toBe(0o700);
    await writeFile(join(directory, '.s.PGSQL.5432.lock'), '');
    await removeSocketDirectory(directory, 'c1', owner);
    expect(await isThere(directory)).toBe(false);
  });

  test('is not made where something is', async () => {
    await mkdir(join(parent, 'c1'));
    await expect(makeSocketDirectory(join(parent, 'c1'), owner)).rejects.toThrow('EEXIST');
  });

  test.each(['precious', 'c2', 'offshoot-c2'])('%s is not ours to remove', async (name) => {
    await mkdir(join(parent, name));
    await removeSocketDirectory(join(parent, name), 'c1', owner);
    expect(await isThere(join(parent, name))).toBe(true);
  });

  test('a link is not followed', async () => {
    await mkdir(join(parent, 'precious'));
    await symlink(join(parent, 'precious'), join(parent, 'c1'));
    await removeSocketDirectory(join(parent, 'c1'), 'c1', owner);
    expect(await isThere(join(parent, 'precious'))).toBe(true);
  });
});
