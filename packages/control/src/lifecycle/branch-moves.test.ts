import { parseBranchName } from '@offshoot/types';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ControlPlane } from '../control-plane.js';
import { ControlFixture, type FakeDriver } from '../testing/control-fixture.js';
import { preservedName } from './preserved-name.js';

/** For what never comes: how long it takes is not what this is about. */
const SOON = { timeout: 20_000 };

let fixture: ControlFixture;
let control: ControlPlane;
let driver: FakeDriver;

beforeEach(async () => {
  fixture = await ControlFixture.open(['shop']);
  ({ control, driver } = fixture);
  await control.createBranch({ name: 'a', from: 'shop' });
});

afterEach(async () => {
  await expectWhole();
  await fixture[Symbol.asyncDispose]();
});

const coded = (code: string) => expect.objectContaining({ code });
const open = (name: string) => control.open(name, { signal: AbortSignal.timeout(10_000) });
const timelineOf = (name: string) => control.branch(name).timeline;
const names = () =>
  control
    .branches()
    .map(({ name }) => name)
    .sort();

function gate(): { opened: Promise<void>; open: () => void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** Each timeline is named by a branch, left by another timeline or held by a checkpoint; and each branch has its own. */
async function expectWhole(): Promise<void> {
  const { catalog } = fixture.pageServer;
  for (const tenant of catalog.tenants()) {
    const timelines = catalog.timelines(tenant.id);
    const ids = new Set(timelines.map(({ id }) => id));
    for (const { id } of timelines) {
      expect(catalog.branchOf(id) !== undefined || catalog.keptLsns(id).length > 0).toBe(true);
    }
    for (const branch of catalog.branches()) {
      expect(ids.has(branch.timeline)).toBe(true);
      expect(catalog.branchOf(branch.timeline)?.id).toBe(branch.id);
      expect(catalog.findBranchNamed(branch.name)?.id).toBe(branch.id);
    }
    expect(catalog.branchCountOf(tenant.id)).toBe(catalog.branches().length);
  }
}

describe('a reset', () => {
  test('changes what a branch names, and nothing else', async () => {
    const before = control.branch('a');
    await control.createBranch({ name: 'child', from: 'a' });
    const moved = await control.resetBranch('a', {});
    expect(moved).toMatchObject({ history_of: 'shop', connections_ended: 0, at: { kind: 'latest' } });
    expect(moved.preserved).toBeUndefined();
    const { timeline, ...same } = before;
    expect(control.branch('a')).toMatchObject(same);
    expect(timelineOf('a')).not.toBe(timeline);
    expect(control.branch('child')).toMatchObject({ parent: 'a', base_lsn: before.base_lsn });
    await open('child');
    // The child has its own past, which is the branch's before.
    expect(fixture.pageServer.catalog.timeline(timeline as never).id).toBe(timeline);
    await control.deleteBranch('child');
    expect(fixture.pageServer.catalog.findTimeline(timeline as never)).toBeUndefined();
  });

  test('ends the compute, and gives whoever comes meanwhile the new state', async () => {
    await open('a');
    const stop = gate();
    driver.stopGate = stop.opened;
    const reset = control.resetBranch('a', {});
    await expect.poll(() => control.branch('a').compute, SOON).toBe('stopping');
    const waits = open('a');
    stop.open();
    expect((await reset).connections_ended).toBe(1);
    expect(driver.farewells).toEqual(['branch a is being reset to shop: connect again to get the new state']);
    await waits;
    expect(driver.started.map(({ timelineId }) => timelineId)).toEqual([
      expect.not.stringContaining(timelineOf('a')),
      timelineOf('a'),
    ]);
    expect(driver.running.size).toBe(1);
  });

  test('gives up a start under way, whose waiters get the new state', async () => {
    const start = gate();
    driver.startGate = start.opened;
    const waits = open('a');
    await expect.poll(() => driver.started.length, SOON).toBe(1);
    driver.startGate = Promise.resolve();
    await control.resetBranch('a', {});
    await waits;
    expect(driver.started.at(-1)?.timelineId).toBe(timelineOf('a'));
    expect(driver.running.size).toBe(1);
    start.open();
  });

  test('of one branch comes after another of it, and both are done', async () => {
    await open('a');
    const before = timelineOf('a');
    const both = await Promise.all([
      control.resetBranch('a', { preserve_as: 'one' }),
      control.resetBranch('a', { preserve_as: 'two' }),
    ]);
    expect(both.map(({ preserved }) => preserved)).toEqual(['one', 'two']);
    expect(new Set([before, timelineOf('a'), timelineOf('two')]).size).toBe(3);
    expect(timelineOf('one')).toBe(before);
    expect(both.map(({ connections_ended }) => connections_ended)).toEqual([1, 0]);
  });

  test('that is refused leaves the branch and its compute as they are', async () => {
    await open('a');
    await control.updateBranch('a', { expires_at: null });
    const before = control.branch('a');
    await expect(control.resetBranch('a', { preserve_as: 'shop' })).rejects.toEqual(coded('name_taken'));
    await expect(control.resetBranch('a', { at: '0/FF' })).rejects.toEqual(
      coded('branch_point_out_of_range'),
    );
    await expect(control.resetBranch('a', { at: '@no' })).rejects.toEqual(coded('checkpoint_not_found'));
    await expect(control.resetBranch('shop', {})).rejects.toEqual(coded('branch_is_root'));
    await control.updateBranch('a', { protected: true });
    await expect(control.resetBranch('a', {})).rejects.toEqual(coded('branch_protected'));
    await control.updateBranch('a', { protected: false });
    expect(control.branch('a')).toEqual(before);
    expect(driver.running.size).toBe(1);
  });

  test('makes the role of the branch anew in the new data, and what was there before has none', async () => {
    await control.createRole('a', { name: 'agent' });
    await control.startCompute('a');
    await expect
      .poll(() => fixture.pageServer.catalog.branchNamed(parseBranchName('a')).rolesApplied, SOON)
      .toBeDefined();
    await control.resetBranch('a', { preserve_as: 'b' });
    expect(control.branch('a').role?.name).toBe('agent');
    expect(control.branch('b').role).toBeUndefined();
    await control.startCompute('a');
    await control.startCompute('b');
    expect(driver.started.map(({ roles }) => roles?.own?.name)).toEqual(['agent', 'agent', undefined]);
    // The data of b has the role, and b is to shut it.
    expect(driver.started.at(-1)?.roles).toBeDefined();
  });
});

describe('a restore', () => {
  test('keeps the state before under a name, and can go back to it', async () => {
    const first = timelineOf('a');
    await control.createCheckpoint('a', { name: 'clean' });
    const { preserved, at, history_of } = await control.restoreBranch('a', { at: '@clean' });
    expect([at.kind, at.checkpoint, history_of]).toEqual(['checkpoint', 'clean', 'a']);
    expect(preserved).toMatch(/^a-before-\d{8}t\d{6}z$/);
    expect(control.branch(String(preserved))).toMatchObject({ timeline: first, parent: 'shop' });
    // A point of the time before the restore is still one of the branch's.
    await control.restoreBranch('a', { at: control.branch('a').base_lsn, preserve: false });
    await control.deleteBranch(String(preserved));
    expect(names()).toEqual(['a', 'shop']);
    expect(control.checkpoints('a')).toMatchObject([{ name: 'clean', kind: 'manual' }]);
    await control.restoreBranch('a', { at: '@newest', preserve_as: 'b' });
    expect(names()).toEqual(['a', 'b', 'shop']);
  });

  test('reaches a checkpoint from before a reset', async () => {
    const first = timelineOf('a');
    await control.createCheckpoint('a', { name: 'clean' });
    await control.resetBranch('a', {});
    await control.restoreBranch('a', { at: '@clean', preserve: false });
    expect(fixture.pageServer.catalog.timeline(timelineOf('a') as never).parent?.timeline).toBe(first);
    await control.createBranch({ name: 'b', from: 'a', at: '@clean' });
    expect(fixture.pageServer.catalog.timeline(timelineOf('b') as never).parent?.timeline).toBe(first);
  });

  test('that says two things about what is kept is refused', async () => {
    const both = { at: 'latest', preserve: false, preserve_as: 'b' };
    await expect(control.restoreBranch('a', both)).rejects.toEqual(coded('invalid_argument'));
  });
});

test('a checkpoint is refused twice, and as the newest', async () => {
  await control.createCheckpoint('a', { name: 'one' });
  await expect(control.createCheckpoint('a', { name: 'one' })).rejects.toEqual(coded('checkpoint_exists'));
  await expect(control.createCheckpoint('a', { name: 'newest' })).rejects.toEqual(coded('invalid_argument'));
  expect(await control.deleteCheckpoint('a', 'one')).toMatchObject({ name: 'one', branch: 'a' });
  await expect(control.createBranch({ name: 'b', from: 'a', at: '@newest' })).rejects.toEqual(
    coded('checkpoint_not_found'),
  );
});

test('resets, restores, deletions, wakes and new branches at once leave nothing half made', async () => {
  const allowed = new Set([
    'branch_not_found',
    'branch_changed',
    'branch_has_children',
    'checkpoint_exists',
    'checkpoint_not_found',
    'compute_not_running',
    'name_taken',
  ]);
  let seed = 7;
  const pick = (count: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * count);
  };
  const branch = () => `b${pick(5)}`;
  const acts: readonly (() => Promise<unknown>)[] = [
    () => control.createBranch({ name: branch(), from: pick(2) === 0 ? 'shop' : branch() }),
    () => control.createBranch({ name: branch(), from: branch(), at: '@newest' }),
    () => control.resetBranch(branch(), {}),
    () => control.resetBranch(branch(), { preserve_as: branch() }),
    () => control.restoreBranch(branch(), { at: 'latest', preserve: false }),
    () => control.restoreBranch(branch(), { at: '@newest', preserve: false }),
    () => control.createCheckpoint(branch(), { name: `c${pick(3)}` }),
    async () => control.deleteCheckpoint(branch(), `c${pick(3)}`),
    () => control.deleteBranch(branch(), { recursive: pick(2) === 0 }),
    () => control.startCompute(branch()),
    async () => (await open(branch())).release(),
    () => control.stopCompute(branch()),
    async () => control.renameBranch(branch(), { name: branch() }),
  ];
  const codes: string[] = [];
  const worker = async () => {
    for (let round = 0; round < 60; round += 1) {
      await (acts[pick(acts.length)]?.() ?? Promise.resolve()).catch((error) => codes.push(error.code));
    }
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
  expect(codes.filter((code) => !allowed.has(code))).toEqual([]);
  for (const { name } of control.branches()) {
    if (name !== 'shop') (await open(name)).release();
  }
  for (const [, { spec }] of driver.running) {
    expect(fixture.pageServer.catalog.branchOf(spec.timelineId)).toBeDefined();
  }
}, 60_000);

test.each([
  ['a', 'a-before-20260102t030405z'],
  ['x'.repeat(63), `${'x'.repeat(39)}-before-20260102t030405z`],
])('the state of %s before is called %s', (name, expected) => {
  const now = new Date('2026-01-02T03:04:05.678Z');
  expect(preservedName(parseBranchName(name), now, () => false)).toBe(expected);
  const second = preservedName(parseBranchName(name), now, (taken) => taken === expected);
  expect(second).toMatch(/z-2$/);
  expect(preservedName(parseBranchName(name), now, () => true)).toBeUndefined();
});
