import { afterEach, expect, test } from 'vitest';
import { ControlFixture } from '../testing/control-fixture.js';
import type { QuotaSettings } from './write-quotas.js';

/** For what never comes: how long it takes is not what this is about. */
const SOON = { timeout: 20_000 };

let fixture: ControlFixture | undefined;

afterEach(async () => {
  await fixture?.[Symbol.asyncDispose]();
  fixture = undefined;
});

async function begin(quota: Partial<QuotaSettings>) {
  fixture = await ControlFixture.open(['shop', 'other'], { quota });
  return fixture;
}

const refused = (words: RegExp) =>
  expect.objectContaining({
    code: 'quota_reached',
    sqlState: '53400',
    message: expect.stringMatching(words),
  });

test('a tenant has as many branches as it may, those that keep a state before included', async () => {
  const { control } = await begin({ branchesPerTenantMax: 3 });
  await control.createBranch({ name: 'a', from: 'shop' });
  await control.createBranch({ name: 'b', from: 'a' });
  const words = /tenant shop has 3 branches, as many as it may \(branchesPerTenantMax 3\)/;
  await expect(control.createBranch({ name: 'c', from: 'b' })).rejects.toEqual(refused(words));
  await control.startCompute('a');
  await expect(control.restoreBranch('a', { at: 'latest' })).rejects.toEqual(refused(words));
  // Nobody's session ended for nothing.
  expect(control.branch('a').compute).toBe('running');
  await control.restoreBranch('a', { at: 'latest', preserve: false });
  await control.createBranch({ name: 'c', from: 'other' });
  await control.deleteBranch('b');
  await control.createBranch({ name: 'd', from: 'a' });
});

test('a tenant has as many computes awake as it may: idle ones make room, and who would wait in vain is told', async () => {
  const { control, driver } = await begin({ computesPerTenantMax: 2 });
  for (const name of ['a', 'b', 'c']) await control.createBranch({ name, from: 'shop' });
  await control.createBranch({ name: 'o', from: 'other' });
  const open = (name: string) => control.open(name, { signal: AbortSignal.timeout(20_000) });
  const a = await open('a');
  const b = await open('b');
  await expect(open('c')).rejects.toEqual(
    refused(/tenant shop has 2 computes awake.*computesPerTenantMax 2/),
  );
  await expect(control.startCompute('c')).rejects.toEqual(refused(/all are in use/));
  await open('o');
  b.release();
  await open('c');
  expect(control.branch('b').activity.state).toBe('asleep');
  await expect(open('b')).rejects.toEqual(refused(/all are in use/));
  // One that is idle by its connections and has work says so, and the one who waits hears of it.
  driver.activity = async () => ({ sessions: 1 });
  a.release();
  await expect(open('b')).rejects.toEqual(refused(/all are in use/));
  expect(driver.running.size).toBe(3);
});

test('a tenant that stores as much as it may makes no branches and takes no writes', async () => {
  const { control, driver, pageServer } = await begin({
    storedBytesPerTenantMax: 2 ** 40,
    storedCheckMs: 20,
  });
  await control.createBranch({ name: 'a', from: 'shop' });
  await control.startCompute('a');
  const stats = pageServer.statsOf.bind(pageServer);
  let used = 2 ** 41;
  pageServer.statsOf = async (id) => {
    const measured = await stats(id);
    const { name } = pageServer.catalog.tenant(id);
    return measured && name === 'shop' ? { ...measured, usedBytes: used } : measured;
  };
  const words = /tenant shop has 2TiB stored, and may have 1TiB \(storedBytesPerTenantMax\)/;
  await expect(control.createBranch({ name: 'b', from: 'shop' })).rejects.toEqual(refused(words));
  await control.createBranch({ name: 'o', from: 'other' });
  await expect.poll(() => driver.refused.get('c1'), SOON).toMatch(words);
  expect(control.branch('a').writes).toBe('refused');
  used = 5;
  await expect.poll(() => driver.refused.get('c1'), SOON).toBeUndefined();
  expect(control.branch('a').writes).toBe('taken');
  await control.createBranch({ name: 'b', from: 'shop' });
});

test('a branch has as many checkpoints as it may', async () => {
  const { control } = await begin({ checkpointsPerBranchMax: 1 });
  await control.createCheckpoint('shop', { name: 'one' });
  await expect(control.createCheckpoint('shop', { name: 'two' })).rejects.toEqual(
    refused(/checkpointsPerBranchMax 1/),
  );
});
