import { parseBranchName } from '@offshoot/types';
import { expect, test, vi } from 'vitest';
import { ControlFixture } from './testing/control-fixture.js';

test('a list of branches shows each change of the catalog and of computes at once', async () => {
  await using fixture = await ControlFixture.open(['shop']);
  const { control, pageServer } = fixture;
  const shown = () =>
    control
      .branches()
      .map(({ name, compute, durability }) => `${name} ${compute} ${durability}`)
      .sort();
  expect(shown()).toEqual(['shop stopped sync']);
  await control.createBranch({ name: 'a' });
  expect(shown()).toEqual(['a stopped sync', 'shop stopped sync']);
  await control.startCompute('a');
  expect(shown()).toEqual(['a running sync', 'shop stopped sync']);
  await control.updateBranch('a', { durability: 'async' });
  expect(shown()).toEqual(['a running async', 'shop stopped sync']);
  expect(control.branches()).toEqual(expect.arrayContaining([control.branch('a'), control.branch('shop')]));
  // A snapshot that was read from in the same turn hides nothing.
  const made = pageServer.createBranch(parseBranchName('b'), parseBranchName('a'));
  control.branch('a');
  await made;
  expect(shown()).toHaveLength(3);
  await control.deleteBranch('b');
  await control.deleteBranch('a');
  expect(shown()).toEqual(['shop stopped sync']);
});

test('of many branches those are read again that have changed', async () => {
  await using fixture = await ControlFixture.open(['shop', 'other']);
  const { control, pageServer } = fixture;
  const all = vi.spyOn(pageServer.catalog, 'branches');
  for (const name of ['b', 'd', 'f']) await control.createBranch({ name, from: 'shop' });
  await control.createBranch({ name: 'child', from: 'd' });
  const shown = () => control.branchPage({ limit: 100, shows: () => true }).branches;
  const names = () => shown().map(({ name, parent }) => `${name}<${parent ?? ''}`);
  expect(names()).toEqual(['b<shop', 'child<d', 'd<shop', 'f<shop', 'other<', 'shop<']);
  expect(all).toHaveBeenCalledTimes(1);
  const one = vi.spyOn(pageServer.catalog, 'findBranch');
  expect(names()).toHaveLength(6);
  expect(one).not.toHaveBeenCalled();
  // A child shows its parent's name of now.
  await control.renameBranch('d', { name: 'a' });
  await control.createBranch({ name: 'e', from: 'child' });
  await control.deleteBranch('f');
  expect(names()).toEqual(['a<shop', 'b<shop', 'child<a', 'e<child', 'other<', 'shop<']);
  const page = control.branchPage({ limit: 2, after: 'b', shows: ({ name }) => name !== 'e' });
  expect(page.branches.map(({ name }) => name)).toEqual(['child', 'other']);
  expect(page.more).toBe(true);
  for (const branch of shown()) expect(branch).toEqual(control.branch(branch.name));
  expect(all).toHaveBeenCalledTimes(1);
});
