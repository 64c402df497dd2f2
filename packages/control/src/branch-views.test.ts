import { parseBranchName } from '@offshoot/types';
import { expect, test } from 'vitest';
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
