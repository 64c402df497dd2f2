import { expect, test } from 'vitest';
import { connectCandidates } from './connect-candidates.js';
import { ControlFixture } from './testing/control-fixture.js';

const known = { defaultUser: 'postgres', defaultDatabase: 'shop' };
const pairs = (users: string[], databases: string[]) =>
  connectCandidates(known, { users, databases }).map(({ user, database }) => `${user}/${database}`);

test.each([
  [
    'as it was',
    [['postgres'], ['template1', 'postgres', 'shop', 'other']],
    ['postgres/shop', 'postgres/postgres', 'postgres/template1', 'postgres/other'],
  ],
  [
    'renamed',
    [['root'], ['template1', 'store']],
    ['root/template1', 'root/store', 'root/shop', 'root/postgres', 'postgres/template1'],
  ],
  [
    'one of many',
    [['admin', 'postgres'], ['shop']],
    ['postgres/shop', 'postgres/postgres', 'postgres/template1', 'admin/shop'],
  ],
  ['unknown', [[], []], ['postgres/shop', 'postgres/postgres', 'postgres/template1']],
])('%s', (_name, [users = [], databases = []], first) => {
  expect(pairs(users, databases).slice(0, first.length)).toEqual(first);
});

test('no more than can be tried', () => {
  const many = Array.from({ length: 16 }, (_, n) => `x${n}`);
  expect(pairs(many, many)).toHaveLength(64);
});

test('a pg_authid that cannot be read is told of, and what is usual is tried all the same', async () => {
  const troubles: string[] = [];
  const onTrouble = (message: string, { branch, error }: { branch: string; error: unknown }) =>
    troubles.push(`${branch}: ${message}: ${String(error)}`);
  // Its tenants hold no pages.
  await using fixture = await ControlFixture.open(['shop'], { onTrouble });
  await fixture.control.createBranch({ name: 'a', from: 'shop' });
  await fixture.control.startCompute('a');
  expect(fixture.driver.started[0]?.connectAs[0]).toEqual({ user: 'postgres', database: 'postgres' });
  expect(troubles).toEqual([
    expect.stringMatching(/^a: which roles .* could not be read.*: .*pg_filenode\.map/),
  ]);
});
