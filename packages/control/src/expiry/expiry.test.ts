import type { UpdateBranchRequest } from '@offshoot/client';
import { parseBranchName } from '@offshoot/types';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ControlPlane } from '../control-plane.js';
import { ControlFixture } from '../testing/control-fixture.js';
import { FakeClock } from '../testing/fake-clock.js';
import { expiryOf, newExpiryOf } from './expiry.js';

/** For what never comes: how long it takes is not what this is about. */
const SOON = { timeout: 20_000 };

const HOUR_MS = 3_600_000;
let clock: FakeClock;
let fixture: ControlFixture;
let control: ControlPlane;

beforeEach(async () => {
  clock = new FakeClock();
  fixture = await ControlFixture.open(['shop'], { clock });
  ({ control } = fixture);
});

afterEach(async () => {
  await control.close();
  expect(clock.pending).toBe(0);
  await fixture[Symbol.asyncDispose]();
});

const coded = (code: string) => expect.objectContaining({ code });
const names = () =>
  control
    .branches()
    .map(({ name }) => name)
    .sort();
const create = (name: string, from: string, ttlHours?: number) =>
  control.createBranch({ name, from, ...(ttlHours === undefined ? {} : { ttl_seconds: ttlHours * 3600 }) });
const open = (name: string) => control.open(name, { signal: new AbortController().signal });
const gone = (name: string) => expect.poll(names, SOON).not.toContain(name);

describe('a branch whose time is over', () => {
  test('is deleted with its compute, and says why to whoever comes', async () => {
    const { branch } = await create('a', 'shop', 1);
    expect(branch).toMatchObject({ state: 'active', expires_at: '2026-01-01T01:00:00.000Z' });
    await open('a');
    await clock.pass(HOUR_MS - 1);
    expect(names()).toContain('a');
    await clock.pass(1);
    await gone('a');
    await expect.poll(() => fixture.driver.running.size, SOON).toBe(0);
    await expect(open('a')).rejects.toEqual(coded('branch_not_found'));
  });

  test('takes nobody from that moment on, also before it is deleted', async () => {
    await create('a', 'shop', 1);
    await create('child', 'a');
    await open('a');
    await clock.pass(HOUR_MS);
    expect(control.branch('a').state).toBe('expired');
    await expect(open('a')).rejects.toEqual(coded('branch_expired'));
    await expect(control.startCompute('a')).rejects.toEqual(coded('branch_expired'));
    await expect(create('late', 'a')).rejects.toEqual(coded('branch_expired'));
    // Its compute has ended, and the child's goes on.
    await expect.poll(() => fixture.driver.running.size, SOON).toBe(0);
    await open('child');
    expect(names()).toEqual(['a', 'child', 'shop']);
  });

  test('stays for those that start from it, and goes with the last of them', async () => {
    await create('a', 'shop', 1);
    await create('b', 'a', 2);
    await create('c', 'b', 3);
    await create('d', 'a', 4);
    await clock.pass(2 * HOUR_MS);
    expect(names()).toEqual(['a', 'b', 'c', 'd', 'shop']);
    await clock.pass(HOUR_MS);
    await expect.poll(names, SOON).toEqual(['a', 'd', 'shop']);
    await control.deleteBranch('d');
    await expect.poll(names, SOON).toEqual(['shop']);
  });

  test('can be given more time as long as it is there, and is used again', async () => {
    await create('a', 'shop', 1);
    await create('child', 'a', 2);
    await clock.pass(HOUR_MS);
    await expect(open('a')).rejects.toEqual(coded('branch_expired'));
    expect(await control.updateBranch('a', { ttl_seconds: 7200 })).toMatchObject({ state: 'active' });
    await open('a');
    await clock.pass(HOUR_MS);
    await gone('child');
    expect(names()).toEqual(['a', 'shop']);
    await control.updateBranch('a', { expires_at: null });
    await clock.pass(1000 * HOUR_MS);
    expect(control.branch('a').expires_at).toBeUndefined();
  });

  test('goes leaf first when a whole tree is over at once', async () => {
    await create('a', 'shop', 1);
    for (let i = 0; i < 20; i += 1) await create(`b${i}`, i === 0 ? 'a' : `b${i - 1}`, 1);
    await clock.pass(HOUR_MS);
    await expect.poll(names, SOON).toEqual(['shop']);
  });

  test('is found after a restart, and after the clock was set', async () => {
    await create('a', 'shop', 1);
    await create('b', 'shop', 2);
    const { pageServer } = fixture;
    await control.close();
    clock.set(clock.now() + HOUR_MS);
    expect(pageServer.catalog.findBranchNamed(parseBranchName('a'))).toBeDefined();
    const again = fixture.again();
    await expect
      .poll(
        () =>
          again
            .branches()
            .map(({ name }) => name)
            .sort(),
        SOON,
      )
      .toEqual(['b', 'shop']);
    await expect.poll(() => clock.pending, SOON).toBe(1);
    // It is looked again and again, so that a clock which jumps is seen soon.
    clock.set(clock.now() + 2 * HOUR_MS);
    await clock.pass(10_000);
    await expect.poll(() => again.branches().map(({ name }) => name), SOON).toEqual(['shop']);
    await again.close();
  });
});

describe('a branch of which nothing is said', () => {
  test('goes after a week, and what was made of it has a week of its own', async () => {
    expect((await create('a', 'shop')).branch.expires_at).toBe('2026-01-08T00:00:00.000Z');
    await clock.pass(HOUR_MS);
    expect((await create('child', 'a')).branch.expires_at).toBe('2026-01-08T01:00:00.000Z');
    await clock.pass(167 * HOUR_MS);
    expect(control.branch('a').state).toBe('expired');
    await clock.pass(HOUR_MS);
    await expect.poll(names, SOON).toEqual(['shop']);
  });

  test('stays when it is to be kept or protected, and a tenant itself always does', async () => {
    await control.createBranch({ name: 'a', keep: true });
    await control.createBranch({ name: 'b', protected: true });
    await clock.pass(1000 * HOUR_MS);
    expect(control.branches().map(({ name, expires_at }) => [name, expires_at])).toEqual(
      expect.arrayContaining([
        ['a', undefined],
        ['b', undefined],
        ['shop', undefined],
      ]),
    );
  });

  test('keeps the state before a restore for as long as the branch that was restored', async () => {
    await create('a', 'shop', 5);
    await control.createCheckpoint('a', { name: 'c' });
    const { preserved } = await control.restoreBranch('a', { at: '@c' });
    expect(control.branch(preserved ?? '').expires_at).toBe(control.branch('a').expires_at);
  });
});

describe('a branch that is to be kept', () => {
  test('neither expires nor is deleted, nor is what it starts from', async () => {
    await create('a', 'shop', 1);
    await create('b', 'a');
    expect(await control.updateBranch('b', { protected: true })).toMatchObject({ protected: true });
    await expect(control.deleteBranch('b')).rejects.toEqual(coded('branch_protected'));
    await expect(control.deleteBranch('a', { recursive: true })).rejects.toThrow(/b is protected/);
    await expect(control.updateBranch('b', { ttl_seconds: 1 })).rejects.toEqual(coded('branch_protected'));
    await expect(control.deleteTenant('shop')).rejects.toEqual(coded('branch_protected'));
    await clock.pass(2 * HOUR_MS);
    expect(names()).toEqual(['a', 'b', 'shop']);
    await control.updateBranch('b', { protected: false });
    await control.deleteBranch('b');
    await expect.poll(names, SOON).toEqual(['shop']);
  });

  test('loses its expiry, and cannot be made with one', async () => {
    await create('a', 'shop', 1);
    expect((await control.updateBranch('a', { protected: true })).expires_at).toBeUndefined();
    const both = { name: 'b', from: 'shop', ttl_seconds: 5, protected: true };
    await expect(control.createBranch(both)).rejects.toEqual(coded('invalid_argument'));
    await clock.pass(2 * HOUR_MS);
    expect(names()).toEqual(['a', 'shop']);
  });
});

test('a tree is deleted leaf first, with its computes', async () => {
  await create('a', 'shop');
  await create('b', 'a');
  await create('c', 'b');
  await create('d', 'a');
  await open('c');
  await expect(control.deleteBranch('a')).rejects.toEqual(coded('branch_has_children'));
  const { deleted } = await control.deleteBranch('a', { recursive: true });
  expect(deleted.at(-1)).toBe('a');
  expect(deleted.indexOf('c')).toBeLessThan(deleted.indexOf('b'));
  expect(names()).toEqual(['shop']);
  expect(fixture.driver.running.size).toBe(0);
  await expect(control.deleteBranch('shop', { recursive: true })).rejects.toEqual(coded('branch_is_root'));
});

test('branches are found by their labels, which change one by one', async () => {
  await control.createBranch({ name: 'a', labels: { agent: 'x', pr: '1' } });
  await control.createBranch({ name: 'b', labels: { agent: 'x' } });
  const found = (labels: Record<string, string>) => control.branches({ labels }).map(({ name }) => name);
  expect(found({ agent: 'x' }).sort()).toEqual(['a', 'b']);
  expect(found({ agent: 'x', pr: '1' })).toEqual(['a']);
  const change: UpdateBranchRequest = { labels: { pr: null, agent: 'y', run: '7' } };
  expect((await control.updateBranch('a', change)).labels).toEqual({ agent: 'y', run: '7' });
  expect(found({ agent: 'x' })).toEqual(['b']);
  const many = Object.fromEntries(Array.from({ length: 63 }, (_, at) => [`l${at}`, '']));
  await expect(control.updateBranch('a', { labels: many })).rejects.toEqual(coded('quota_reached'));
});

test('a branch is renamed while its compute runs', async () => {
  const { branch } = await create('a', 'shop');
  await create('child', 'a');
  await open('a');
  expect(await control.renameBranch('a', { name: 'b' })).toMatchObject({ id: branch.id, name: 'b' });
  expect(control.computes()).toMatchObject([{ branch: 'b', state: 'running' }]);
  expect(control.branch('child').parent).toBe('b');
  await expect(open('a')).rejects.toEqual(coded('branch_not_found'));
  await open('b');
  expect(fixture.driver.started).toHaveLength(1);
});

test.each([
  [{ ttl_seconds: 60 }, '2026-01-01T00:01:00.000Z'],
  [{ expires_at: '2026-01-01T02:00:00+01:00' }, '2026-01-01T01:00:00.000Z'],
  [{ expires_at: null }, null],
  [{}, undefined],
])('%j is %s', (choice, expected) => {
  expect(expiryOf(choice, Date.parse('2026-01-01T00:00:00Z'))).toBe(expected);
});

test.each([
  [{ expires_at: '2025-12-31T23:59:59Z' }, /not in the future/],
  [{ expires_at: '2046-01-01T00:00:00Z' }, /ten years/],
  [{ expires_at: '2026-01-02T00:00:00Z', ttl_seconds: 5 }, /not both/],
])('%j is refused', (choice, words) => {
  expect(() => expiryOf(choice, Date.parse('2026-01-01T00:00:00Z'))).toThrow(words);
});

const WEEK_SECONDS = 604_800;
test.each([
  [{}, WEEK_SECONDS, '2026-01-08T00:00:00.000Z'],
  [{ keep: false }, WEEK_SECONDS, '2026-01-08T00:00:00.000Z'],
  [{ protected: false }, WEEK_SECONDS, '2026-01-08T00:00:00.000Z'],
  [{ ttl_seconds: 60 }, WEEK_SECONDS, '2026-01-01T00:01:00.000Z'],
  [{ ttl_seconds: 60, keep: false }, 0, '2026-01-01T00:01:00.000Z'],
  [{ keep: true }, WEEK_SECONDS, undefined],
  [{ protected: true }, WEEK_SECONDS, undefined],
  [{}, 0, undefined],
  [{}, Number.MAX_SAFE_INTEGER, '2035-12-30T00:00:00.000Z'],
])('a new branch of %j, by default of %i s, expires at %s', (choice, byDefault, expected) => {
  expect(newExpiryOf(choice, Date.parse('2026-01-01T00:00:00Z'), byDefault)).toBe(expected);
});

test.each([
  [{ keep: true, ttl_seconds: 5 }, /leave out keep/],
  [{ keep: true, expires_at: '2026-01-02T00:00:00Z' }, /leave out keep/],
  [{ protected: true, ttl_seconds: 5 }, /leave out protected/],
])('a new branch of %j is refused', (choice, words) => {
  expect(() => newExpiryOf(choice, Date.parse('2026-01-01T00:00:00Z'), 0)).toThrow(words);
});
