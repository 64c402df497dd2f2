import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ControlPlane } from '../control-plane.js';
import { ControlFixture, type FakeDriver } from '../testing/control-fixture.js';

let fixture: ControlFixture;
let control: ControlPlane;
let driver: FakeDriver;

beforeEach(async () => {
  fixture = await ControlFixture.open(['shop']);
  ({ control, driver } = fixture);
});

afterEach(async () => fixture[Symbol.asyncDispose]());

const coded = (code: string) => expect.objectContaining({ code });
const verifierOf = (name: string) =>
  fixture.pageServer.catalog.branches().find((branch) => branch.name === name)?.role?.verifier;

describe('what a compute is told of roles', () => {
  test('is nothing, where no branch had any', async () => {
    await control.createBranch({ name: 'a', from: 'shop' });
    await control.startCompute('a');
    expect(driver.started[0]?.roles).toBeUndefined();
  });

  test('is the branch’s own, when it starts', async () => {
    const { credentials } = await control.createBranch({ name: 'a', from: 'shop', role: { name: 'agent' } });
    expect(credentials).toEqual({ role: 'agent', password: expect.any(String), rights: 'owner' });
    await control.startCompute('a');
    const own = { name: 'agent', rights: 'owner', verifier: verifierOf('a') };
    expect(driver.started[0]?.roles).toMatchObject({ branch: control.branch('a').id, own });
  });

  test('is that there may be others’, on whatever came from a branch that had one', async () => {
    await control.createBranch({ name: 'a', from: 'shop', role: {} });
    await control.deleteRole('a');
    await control.createBranch({ name: 'b', from: 'a' });
    await control.createBranch({ name: 'c', from: 'b' });
    await control.startCompute('c');
    expect(driver.started[0]?.roles).toEqual({ branch: control.branch('c').id });
  });

  test('comes at once while it runs', async () => {
    await control.createBranch({ name: 'a', from: 'shop' });
    await control.startCompute('a');
    await control.createRole('a', {});
    await control.rotatePassword('a', { sessions: 'end' });
    await control.deleteRole('a');
    expect(driver.applied.map(({ roles, sessions }) => [roles.own === undefined, sessions])).toEqual([
      [false, 'keep'],
      [false, 'end'],
      [true, 'end'],
    ]);
  });

  test('waits for a start under way, which may have read the catalog before', async () => {
    await control.createBranch({ name: 'a', from: 'shop', role: {} });
    const before = verifierOf('a');
    let open = () => {};
    driver.startGate = new Promise((resolve) => {
      open = resolve;
    });
    const started = control.startCompute('a');
    await expect.poll(() => driver.started.length).toBe(1);
    const rotated = control.rotatePassword('a', {});
    await expect.poll(() => verifierOf('a')).not.toBe(before);
    expect(driver.applied).toEqual([]);
    open();
    await Promise.all([started, rotated]);
    expect(driver.started[0]?.roles?.own?.verifier).toBe(before);
    expect(driver.applied.map(({ roles }) => roles.own?.verifier)).toEqual([verifierOf('a')]);
  });
});

describe('what is done already', () => {
  const recordOf = (name: string) =>
    fixture.pageServer.catalog.branches().find((branch) => branch.name === name);
  /** Starts it, and waits until that is written down. */
  const start = async (name: string) => {
    await control.startCompute(name);
    await expect
      .poll(() => recordOf(name)?.rolesApplied)
      .toEqual({
        timeline: recordOf(name)?.timeline,
        ...(verifierOf(name) && { verifier: verifierOf(name) }),
      });
  };
  const told = () => driver.started.map(({ roles }) => roles?.own?.verifier ?? (roles && 'none'));

  test('is not asked for again, until it changes', async () => {
    await control.createBranch({ name: 'a', from: 'shop', role: {} });
    const first = verifierOf('a');
    await start('a');
    await control.stopCompute('a');
    await start('a');
    await control.rotatePassword('a', {});
    await control.stopCompute('a');
    await start('a');
    await control.stopCompute('a');
    await control.rotatePassword('a', {});
    const third = verifierOf('a');
    await start('a');
    await control.stopCompute('a');
    await control.deleteRole('a');
    await start('a');
    await control.stopCompute('a');
    await start('a');
    expect(told()).toEqual([first, undefined, undefined, third, 'none', undefined]);
    expect(driver.applied).toHaveLength(1);
  });

  test('is asked for again where it may have been lost', async () => {
    await control.createBranch({ name: 'a', from: 'shop', role: {}, durability: 'async' });
    await control.startCompute('a');
    await control.stopCompute('a');
    await control.startCompute('a');
    expect(told()).toEqual([verifierOf('a'), verifierOf('a')]);
  });
});

describe('a change that the compute does not take', () => {
  test('leaves no role that was to be made', async () => {
    await control.createBranch({ name: 'a', from: 'shop' });
    await control.startCompute('a');
    driver.applyFailure = new Error('no');
    await expect(control.createRole('a', {})).rejects.toEqual(coded('branch_role_not_applied'));
    expect(control.branch('a').role).toBeUndefined();
    driver.applyFailure = undefined;
    await control.createRole('a', {});
  });

  test('is made by the next start, when this one ends in the middle', async () => {
    await control.createBranch({ name: 'a', from: 'shop', role: {} });
    await control.startCompute('a');
    driver.applyFailure = new Error('the connection is gone');
    const rotated = control.rotatePassword('a', {});
    driver.crash('c1', 'killed');
    await rotated;
    await control.startCompute('a');
    expect(driver.started[1]?.roles?.own?.verifier).toBe(verifierOf('a'));
  });
});

test('of two changes at once the compute ends up with the later one', async () => {
  await control.createBranch({ name: 'a', from: 'shop', role: {} });
  await control.startCompute('a');
  await Promise.all(Array.from({ length: 5 }, () => control.rotatePassword('a', {})));
  expect(driver.applied.at(-1)?.roles.own?.verifier).toBe(verifierOf('a'));
});

test('a tenant’s first branch gets none, and a branch no second', async () => {
  await expect(control.createRole('shop', {})).rejects.toEqual(coded('branch_read_only'));
  await control.createBranch({ name: 'a', from: 'shop', role: {} });
  await expect(control.createRole('a', {})).rejects.toEqual(coded('branch_role_exists'));
});
