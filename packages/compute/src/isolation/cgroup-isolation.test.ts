import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { weightOf } from './cgroup-bounds.js';
import { CgroupIsolation } from './cgroup-isolation.js';
import { ownCgroup } from './cgroup-place.js';
import { openIsolation } from './open-isolation.js';

describe('the control group that a process is in', () => {
  const line = (root: string, place: string, type: string) =>
    `30 23 0:26 ${root} ${place} rw,nosuid shared:4 - ${type} cgroup2 rw,nsdelegate`;
  const v2 = line('/', '/sys/fs/cgroup', 'cgroup2');

  test.each<[string, string, string, object]>([
    ['a service', v2, '0::/system.slice/o.service\n', { path: '/sys/fs/cgroup/system.slice/o.service' }],
    ['the root of all', v2, '0::/\n', { path: '/sys/fs/cgroup/' }],
    [
      'beside groups of v1',
      `${line('/', '/sys/fs/cgroup/cpu', 'cgroup')}\n${line('/', '/sys/fs/cgroup/unified', 'cgroup2')}`,
      '4:cpu:/a\n0::/b\n',
      { path: '/sys/fs/cgroup/unified/b' },
    ],
    [
      'a mount that shows a part',
      line('/docker/1', '/sys/fs/cgroup', 'cgroup2'),
      '0::/docker/1/inner\n',
      { path: '/sys/fs/cgroup/inner' },
    ],
    ['a place with a space', line('/', '/my\\040groups', 'cgroup2'), '0::/a\n', { path: '/my groups/a' }],
    [
      'only v1',
      line('/', '/sys/fs/cgroup/cpu', 'cgroup'),
      '4:cpu:/a\n',
      { reason: 'no cgroup v2 is mounted' },
    ],
    ['no v2 of its own', v2, '4:cpu:/a\n', { reason: 'this process is in no control group of v2' }],
    [
      'outside of a namespace',
      v2,
      '0::/../other\n',
      { reason: "this process' control group is outside of what is mounted" },
    ],
  ])('%s', (_what, mountInfo, ownText, found) => {
    expect(ownCgroup({ mountInfo, ownCgroup: ownText })).toEqual(found);
  });
});

test.each([
  [1, 100],
  [0.25, 25],
  [0.001, 1],
  [1024, 10_000],
])('%d cores weigh %i', (cores, weight) => {
  expect(weightOf(cores)).toBe(weight);
});

/** Files as the kernel shows them; it makes nothing of what is written. What it does is in the end-to-end tests. */
describe('a place for groups', () => {
  let base: string;
  const options = () => ({ base, name: 'offshoot-x', processesMax: 100 });
  const file = (name: string, text: string) => writeFileSync(join(base, name), text);

  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'offshoot-cgroup-'));
    file('cgroup.subtree_control', '');
    file('cgroup.procs', `${process.pid}\n`);
  });

  afterEach(() => rmSync(base, { recursive: true }));

  test('has been given what is needed, or cannot be used', async () => {
    file('cgroup.controllers', 'cpuset cpu hugetlb\n');
    await expect(CgroupIsolation.open(options())).rejects.toThrow(
      /not been given the controllers memory, pids/,
    );
  });

  test('in which others work too cannot be used, and is left as it was', async () => {
    file('cgroup.controllers', 'cpu memory pids\n');
    file('cgroup.type', 'domain\n');
    file('cgroup.procs', `${process.pid}\n1\n`);
    await expect(CgroupIsolation.open(options())).rejects.toThrow(
      /not the page server's \(1\).*Delegate=yes/,
    );
    expect(existsSync(join(base, 'offshoot-daemon'))).toBe(false);
    expect(readFileSync(join(base, 'cgroup.subtree_control'), 'utf8')).toBe('');
  });

  test('that was not chosen is done without, and why is said; one that was chosen has to be there', async () => {
    const rest = { dataDirectory: '/data', processesMax: 100 };
    const isolation = await openIsolation({ choice: 'auto', ...rest });
    const { means, reason, cgroup } = isolation.facts;
    expect(means === 'cgroup' ? cgroup : reason).toMatch(/./);
    await isolation.close();
    await expect(openIsolation({ choice: { path: join(base, 'none') }, ...rest })).rejects.toThrow(/ENOENT/);
    expect((await openIsolation({ choice: 'off', ...rest })).facts).toMatchObject({ means: 'priorities' });
  });

  test('is made inner, and the controllers are handed down', async () => {
    file('cgroup.controllers', 'cpu memory pids\n');
    file('cgroup.type', 'domain\n');
    // The kernel would fill new groups with files.
    for (const group of ['offshoot-daemon', 'offshoot-x']) mkdirSync(join(base, group));
    await CgroupIsolation.open(options()).catch(() => undefined);
    expect(readFileSync(join(base, 'offshoot-daemon/cgroup.procs'), 'utf8')).toBe(String(process.pid));
    expect(readFileSync(join(base, 'cgroup.subtree_control'), 'utf8')).toBe('+cpu +memory +pids');
  });
});
