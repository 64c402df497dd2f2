import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type OsUser, resolveOsUser } from './os-user.js';
import { assertEnterable, firstUnreachable, withAncestors } from './reachability.js';

test.each([
  ['/', ['/']],
  ['/a', ['/', '/a']],
  ['/a/b', ['/', '/a', '/a/b']],
])('the way to %s', (path, way) => {
  expect(withAncestors(path)).toEqual(way);
});

// Only root can give its rights up for another user.
describe.runIf(process.getuid?.() === 0)('what another user can reach', () => {
  let base: string;
  let user: OsUser;
  beforeEach(async () => {
    base = await mkdtemp(join(tmpdir(), 'offshoot-test-'));
    await chmod(base, 0o755);
    user = await resolveOsUser();
    await mkdir(join(base, "it's home/data"), { recursive: true });
    await writeFile(join(base, "it's home/data/file"), '', { mode: 0o644 });
    await writeFile(join(base, 'secret'), '', { mode: 0o600 });
  });
  afterEach(() => rm(base, { recursive: true }));

  test('a directory below one of mode 0700 is refused, with the command that mends it', async () => {
    const home = join(base, "it's home");
    await chmod(home, 0o700);
    await expect(assertEnterable(user, join(home, 'data'))).rejects.toMatchObject({
      code: 'path_unreachable',
      message: expect.stringContaining(`chmod o+x '${base}/it'\\''s home'`),
      details: { path: home, user: user.name },
    });
    await chmod(home, 0o701);
    await expect(assertEnterable(user, join(home, 'data'))).resolves.toBeUndefined();
  });

  test('files are read through directories that can be entered', async () => {
    const file = join(base, "it's home/data/file");
    expect(await firstUnreachable(user, [file], 'read')).toBeUndefined();
    expect(await firstUnreachable(user, [file, join(base, 'secret')], 'read')).toBe(join(base, 'secret'));
    await chmod(join(base, "it's home"), 0o700);
    expect(await firstUnreachable(user, [file], 'read')).toBe(file);
  });
});
