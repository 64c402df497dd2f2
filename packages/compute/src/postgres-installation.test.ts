import { chmod, cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { copyForUser } from './installation-copy.js';
import { type OsUser, resolveOsUser } from './os-user.js';
import { resolvePostgres } from './postgres-installation.js';
import { firstUnreachable } from './reachability.js';

let base: string;
let osUser: OsUser;
const cacheDirectory = () => join(base, 'cache');

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'offshoot-test-'));
  await chmod(base, 0o755);
  osUser = await resolveOsUser();
});
afterAll(() => rm(base, { recursive: true }));

/** An installation whose `postgres` is this shell script. */
async function pretended(name: string, script: string): Promise<string> {
  const bindir = join(base, name, 'bin');
  await mkdir(bindir, { recursive: true });
  for (const program of ['postgres', 'initdb']) {
    await writeFile(join(bindir, program), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  return bindir;
}

describe('a Postgres installation', () => {
  test('is the embedded one by default', async () => {
    const found = await resolvePostgres({ cacheDirectory: cacheDirectory() });
    expect(found).toMatchObject({ version: '15.18', major: 15, origin: 'embedded' });
  });

  test('is the one that was named', async () => {
    const bindir = await pretended('named', 'echo "postgres (PostgreSQL) 15.4 (somewhere)"');
    const found = await resolvePostgres({ bindir, cacheDirectory: cacheDirectory() });
    expect(found).toEqual({ bindir, version: '15.4', major: 15, origin: 'given' });
  });

  test.each([
    ['another major', 'echo "postgres (PostgreSQL) 16.2"', 'postgres_version_unsupported', 'Postgres 15 is'],
    ['one that breaks', 'echo "lib is missing" >&2; exit 127', 'postgres_unusable', 'lib is missing'],
    ['one that says nothing', '', 'postgres_unusable', 'printed no version'],
  ])('%s is refused', async (name, script, code, words) => {
    const bindir = await pretended(name, script);
    await expect(resolvePostgres({ bindir, cacheDirectory: cacheDirectory() })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(words),
    });
  });

  test('one that is not there is refused', async () => {
    const bindir = join(base, 'nowhere');
    await expect(resolvePostgres({ bindir, cacheDirectory: cacheDirectory() })).rejects.toMatchObject({
      code: 'postgres_not_found',
      message: expect.stringContaining(join(bindir, 'postgres')),
    });
  });
});

// Only root can give its rights up for another user.
describe.runIf(process.getuid?.() === 0)('an installation in a directory of mode 0700', () => {
  let home: string;
  let bindir: string;
  beforeAll(async () => {
    home = join(base, 'home');
    await mkdir(home, { mode: 0o700 });
    const embedded = await resolvePostgres({ cacheDirectory: cacheDirectory() });
    await cp(dirname(embedded.bindir), join(home, 'pg'), { recursive: true, verbatimSymlinks: true });
    // As a checkout under umask 077 has it.
    await chmod(join(home, 'pg/share'), 0o700);
    await chmod(join(home, 'pg/bin/postgres'), 0o700);
    bindir = join(home, 'pg/bin');
  });

  test('is copied once to where the OS user can run it', async () => {
    const first = await resolvePostgres({ bindir, cacheDirectory: cacheDirectory() });
    expect(first.bindir.startsWith(cacheDirectory())).toBe(true);
    expect(first.version).toBe('15.18');
    const shared = join(dirname(first.bindir), 'share/postgresql/postgres.bki');
    expect(await firstUnreachable(osUser, [shared], 'read')).toBeUndefined();
    const [again, other] = await Promise.all([
      resolvePostgres({ bindir, cacheDirectory: cacheDirectory() }),
      resolvePostgres({ bindir, cacheDirectory: cacheDirectory() }),
    ]);
    expect([again.bindir, other.bindir]).toEqual([first.bindir, first.bindir]);
    expect(await readdir(cacheDirectory())).toHaveLength(1);
  });

  test('is refused when the cache cannot be reached either', async () => {
    const hidden = join(home, 'cache');
    await expect(resolvePostgres({ bindir, cacheDirectory: hidden })).rejects.toMatchObject({
      code: 'path_unreachable',
      message: expect.stringContaining(`chmod o+x ${home}`),
    });
  });

  test('is refused when it cannot be moved', async () => {
    await symlink(bindir, join(home, 'link'));
    await mkdir(join(home, 'odd'));
    for (const program of ['postgres', 'initdb']) {
      await writeFile(join(home, 'odd', program), '', { mode: 0o755 });
    }
    const odd = join(home, 'odd');
    await expect(resolvePostgres({ bindir: odd, cacheDirectory: cacheDirectory() })).rejects.toMatchObject({
      code: 'postgres_unusable',
      message: expect.stringContaining('not named bin'),
    });
    const linked = await resolvePostgres({ bindir: join(home, 'link'), cacheDirectory: cacheDirectory() });
    expect(linked.major).toBe(15);
  });

  test('a single file is copied by its content, and anew when it changes', async () => {
    const library = join(home, 'lib.so');
    await writeFile(library, 'one');
    const first = await copyForUser(library, cacheDirectory(), osUser);
    expect(await copyForUser(library, cacheDirectory(), osUser)).toBe(first);
    expect(await firstUnreachable(osUser, [first], 'read')).toBeUndefined();
    await writeFile(library, 'other');
    expect(await copyForUser(library, cacheDirectory(), osUser)).not.toBe(first);
  });
});
