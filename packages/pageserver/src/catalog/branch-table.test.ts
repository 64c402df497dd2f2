import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Lsn, parseBranchName } from '@offshoot/types';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Catalog } from './catalog.js';
import { newTenant } from './testing/new-tenant.js';

let dir: string;
let catalog: Catalog;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'offshoot-branch-table-'));
  catalog = Catalog.open(dir);
});

afterEach(async () => {
  await catalog.close();
  rmSync(dir, { recursive: true });
});

test('whoever knows all branches is told which were written since, once their transaction is over', async () => {
  const { id } = await catalog.reserveTenant(newTenant('shop'));
  const history = { readableFrom: 8n as Lsn, lastRecordLsn: 8n as Lsn, tli: 1, stats: {} as never };
  const { branch: root, timeline } = await catalog.activateTenant(id, history);
  const first = catalog.branchChanges(undefined);
  expect(first.ids).toBeUndefined();
  const create = (name: string) =>
    catalog.createBranch({
      name: parseBranchName(name),
      parent: root.id,
      ancestorLsn: timeline.lastRecordLsn,
    });
  const [a, b] = await Promise.all([create('a'), create('b')]);
  const made = catalog.branchChanges(first.position);
  expect(new Set(made.ids)).toEqual(new Set([a.branch.id, b.branch.id]));
  expect(catalog.branchChanges(made.position).ids).toEqual([]);
  // What failed has changed nothing, and may be told of all the same.
  await expect(create('a')).rejects.toMatchObject({ code: 'name_taken' });
  const failed = catalog.branchChanges(made.position);
  await catalog.renameBranch(a.branch.id, parseBranchName('c'));
  await catalog.updateBranch(b.branch.id, { protected: true });
  await catalog.recordUse(b.branch.id, { wakes: 1 });
  const changed = catalog.branchChanges(failed.position);
  expect(changed.ids).toEqual([a.branch.id, b.branch.id, b.branch.id]);
  expect(catalog.findBranch(a.branch.id)?.name).toBe('c');
  await catalog.deleteBranch(a.branch.id);
  expect(catalog.branchChanges(changed.position).ids).toEqual([a.branch.id]);
  // Other records are none of its business.
  const { position } = catalog.branchChanges(undefined);
  await catalog.raiseReadableFrom(timeline.id, timeline.lastRecordLsn);
  expect(catalog.branchChanges(position)).toEqual({ position, ids: [] });
});
