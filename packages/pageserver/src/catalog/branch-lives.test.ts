import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Lsn, parseBranchName as name, randomTenantId, type TenantId } from '@offshoot/types';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Catalog } from './catalog.js';
import { openTables } from './catalog-tables.js';
import { newTenant } from './testing/new-tenant.js';

const LSN = 0x200_0138n as Lsn;
let dir: string;
let nowMs: number;
let catalog: Catalog;
let tenant: TenantId;

const open = () => Catalog.open(dir, { now: () => new Date(nowMs) });

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'offshoot-lives-'));
  nowMs = Date.parse('2026-01-01T00:00:00Z');
  catalog = open();
  tenant = randomTenantId();
  await catalog.reserveTenant(newTenant('shop', tenant));
  const history = { readableFrom: LSN, lastRecordLsn: LSN, tli: 1, stats: {} as never };
  await catalog.activateTenant(tenant, history);
});

afterEach(async () => {
  await catalog.close();
  rmSync(dir, { recursive: true });
});

const coded = (code: string) => expect.objectContaining({ code });
const at = (plus: bigint) => (LSN + plus) as Lsn;
const now = (text: string) => catalog.branchNamed(name(text));
const create = (text: string, from: string, plus = 0n) =>
  catalog.createBranch({ name: name(text), parent: now(from).id, ancestorLsn: at(plus) });
const move = (text: string, plus: bigint, preserveAs?: string) => {
  const { id, timeline: from } = now(text);
  const kept = preserveAs === undefined ? {} : { preserveAs: name(preserveAs) };
  return catalog.moveBranch(id, { from, point: { timeline: from, lsn: at(plus) }, continues: true, ...kept });
};
const checkpoint = (text: string, called: string, plus: bigint) => {
  const { id: branch, timeline } = now(text);
  const made = { branch, name: called, timeline, lsn: at(plus), kind: 'manual', checkpointsMax: 3 } as const;
  return catalog.createCheckpoint(made);
};
const indexes = () => catalog.timelines(tenant).map(({ index }) => index);

describe('a branch that goes on from another point', () => {
  it('is the same branch, and what it named stays for who needs it, and no longer', async () => {
    const { branch, timeline } = await create('a', 'shop');
    await create('child', 'a', 8n);
    const moved = await move('a', 16n);
    expect(moved.branch).toMatchObject({ id: branch.id, name: 'a', parent: branch.parent });
    expect(moved.removed).toEqual([]);
    expect(moved.timeline.parent).toEqual({ timeline: timeline.id, ancestorLsn: at(16n) });
    expect(catalog.branchOf(timeline.id)).toBeUndefined();
    expect(catalog.branchOf(moved.timeline.id)?.id).toBe(branch.id);
    expect(catalog.ownTimelines(now('a')).map(({ id }) => id)).toEqual([moved.timeline.id, timeline.id]);
    expect(catalog.keptLsns(timeline.id).map(({ lsn, by }) => [lsn, by])).toEqual(
      expect.arrayContaining([
        [at(8n), 'child'],
        [at(16n), 'child'],
      ]),
    );
    await catalog.deleteBranch(now('child').id);
    const { removed } = await catalog.deleteBranch(branch.id);
    expect(removed.map(({ id }) => id)).toEqual([moved.timeline.id, timeline.id]);
    expect(indexes()).toHaveLength(1);
  });

  it('keeps its former state under a name, with the WAL that was written there', async () => {
    const { branch, timeline } = await create('a', 'shop');
    await catalog.recordUse(branch.id, { wakes: 2, wal: { bytesBefore: 9, startLsn: LSN } });
    await catalog.updateBranch(branch.id, { labels: { agent: 'x' } });
    const moved = await move('a', 8n, 'a-before');
    expect(moved.preserved).toMatchObject({
      name: 'a-before',
      timeline: timeline.id,
      parent: branch.parent,
      labels: { agent: 'x' },
      use: { wakes: 0, wal: { bytesBefore: 9 } },
    });
    expect(moved.branch.use).toEqual({ wakes: 2 });
    expect((await catalog.deleteBranch(now('a-before').id)).removed).toEqual([]);
    expect((await catalog.deleteBranch(branch.id)).removed).toHaveLength(2);
  });

  it('hands its history on with the former state, which goes its own way from there', async () => {
    const { branch, timeline: first } = await create('a', 'shop');
    const { timeline: second } = await move('a', 16n);
    await move('a', 20n, 'kept');
    const own = (text: string) => catalog.ownTimelines(now(text)).map(({ id }) => id);
    expect(own('kept')).toEqual([second.id, first.id]);
    const { timeline: fourth } = await move('kept', 18n, 'kept-again');
    expect(own('kept')).toEqual([fourth.id, second.id, first.id]);
    expect(own('kept-again')).toEqual([second.id, first.id]);
    const { timeline: fifth } = await move('kept-again', 17n);
    await catalog.deleteBranch(branch.id);
    await catalog.deleteBranch(now('kept').id);
    expect(own('kept-again')).toEqual([fifth.id, second.id, first.id]);
    // Another branch of one of them has none of their history.
    await create('child', 'kept-again', 18n);
    expect(own('child')).toEqual([now('child').timeline]);
    await catalog.deleteBranch(now('child').id);
    await catalog.deleteBranch(now('kept-again').id);
    expect(indexes()).toHaveLength(1);
  });

  it('is refused when it is not where its mover found it, kept, or production’s own', async () => {
    const { branch } = await create('a', 'shop');
    await move('a', 8n);
    const point = { timeline: branch.timeline, lsn: LSN };
    await expect(catalog.moveBranch(branch.id, { from: branch.timeline, point })).rejects.toEqual(
      coded('branch_changed'),
    );
    await catalog.updateBranch(branch.id, { protected: true });
    await expect(move('a', 8n)).rejects.toEqual(coded('branch_protected'));
    await expect(catalog.deleteBranch(branch.id)).rejects.toEqual(coded('branch_protected'));
    await expect(catalog.updateBranch(branch.id, { expiresAt: '2027-01-01T00:00:00.000Z' })).rejects.toEqual(
      coded('branch_protected'),
    );
    await catalog.updateBranch(branch.id, { protected: false });
    await expect(move('a', 8n, 'shop')).rejects.toEqual(coded('name_taken'));
    await expect(move('shop', 8n)).rejects.toEqual(coded('branch_is_root'));
    await expect(move('a', -8n)).rejects.toEqual(coded('branch_point_out_of_range'));
    expect(catalog.branches()).toHaveLength(2);
  });
});

describe('a checkpoint', () => {
  it('holds its timeline when its branch has gone on elsewhere', async () => {
    const { branch, timeline } = await create('a', 'shop');
    await checkpoint('a', 'one', 8n);
    const root = catalog.timeline(now('shop').timeline);
    const moved = await catalog.moveBranch(branch.id, {
      from: timeline.id,
      point: { timeline: root.id, lsn: LSN },
    });
    expect(moved.removed).toEqual([]);
    expect(catalog.keptLsns(timeline.id)).toEqual([
      { lsn: at(8n), by: 'checkpoint', who: `${branch.id}/one` },
    ]);
    expect(catalog.ownTimelines(now('a')).map(({ id }) => id)).toEqual([moved.timeline.id]);
    const { removed } = await catalog.deleteCheckpoint(branch.id, 'one');
    expect(removed.map(({ id }) => id)).toEqual([timeline.id]);
    await expect(catalog.deleteCheckpoint(branch.id, 'one')).rejects.toEqual(coded('checkpoint_not_found'));
  });

  it('is refused twice, and past the limit; periodic ones make way for the next', async () => {
    const { branch } = await create('a', 'shop');
    await checkpoint('a', 'one', 0n);
    await expect(checkpoint('a', 'one', 0n)).rejects.toEqual(coded('checkpoint_exists'));
    for (const called of ['p1', 'p2', 'p3']) {
      nowMs += 1000;
      await catalog.createCheckpoint({
        branch: branch.id,
        name: called,
        timeline: branch.timeline,
        lsn: LSN,
        kind: 'periodic',
        checkpointsMax: 3,
        keepPeriodic: 2,
      });
    }
    expect(catalog.checkpoints(branch.id).map((each) => each.name)).toEqual(['one', 'p2', 'p3']);
    await expect(checkpoint('a', 'four', 0n)).rejects.toEqual(coded('quota_reached'));
    await catalog.deleteBranch(branch.id);
    expect([indexes().length, catalog.checkpoints(branch.id)]).toEqual([1, []]);
  });
});

describe('a branch that expires', () => {
  const soon = '2026-01-01T01:00:00.000Z';

  it('is listed from its time on, is no parent then, and can be given more time', async () => {
    const { branch } = await create('a', 'shop');
    await catalog.updateBranch(branch.id, { expiresAt: soon });
    expect([catalog.nextExpiry(), catalog.expired(new Date(nowMs))]).toEqual([soon, []]);
    nowMs = Date.parse(soon);
    expect(catalog.expired(new Date(nowMs)).map(({ id }) => id)).toEqual([branch.id]);
    await expect(create('late', 'a')).rejects.toEqual(coded('branch_expired'));
    await expect(move('a', 8n)).rejects.toEqual(coded('branch_expired'));
    await catalog.updateBranch(branch.id, { expiresAt: '2026-01-01T02:00:00.000Z' });
    const early = catalog.deleteBranch(branch.id, { expiredBy: new Date(nowMs) });
    await expect(early).rejects.toEqual(coded('branch_not_expired'));
    nowMs = Date.parse('2026-01-01T02:00:00.000Z');
    await catalog.deleteBranch(branch.id, { expiredBy: new Date(nowMs) });
    expect(catalog.nextExpiry()).toBeUndefined();
  });

  it('does not when it is to be kept, and the first of a tenant never does', async () => {
    const { branch } = await create('a', 'shop');
    await catalog.updateBranch(branch.id, { expiresAt: soon });
    const kept = await catalog.updateBranch(branch.id, { protected: true });
    expect([kept.expiresAt, catalog.nextExpiry()]).toEqual([undefined, undefined]);
    await expect(catalog.updateBranch(now('shop').id, { expiresAt: soon })).rejects.toEqual(
      coded('branch_is_root'),
    );
  });
});

it('renames a branch with all that has its name', async () => {
  const { branch } = await create('a', 'shop');
  await create('child', 'a');
  await catalog.updateBranch(branch.id, { expiresAt: '2026-01-01T01:00:00.000Z' });
  await catalog.renameBranch(branch.id, name('b'));
  expect(catalog.findBranchNamed(name('a'))).toBeUndefined();
  expect(now('b').id).toBe(branch.id);
  expect(catalog.childNames(now('shop').id)).toEqual(['b']);
  expect(catalog.childNames(branch.id)).toEqual(['child']);
  await expect(catalog.renameBranch(branch.id, name('child'))).rejects.toEqual(coded('name_taken'));
  await expect(catalog.renameBranch(now('shop').id, name('c'))).rejects.toEqual(coded('branch_is_root'));
  await catalog.deleteBranch(now('child').id);
  await catalog.deleteBranch(branch.id);
  expect([catalog.branches().length, catalog.nextExpiry()]).toEqual([1, undefined]);
});

it('refuses the branch that would be too many, also when many are made at once', async () => {
  const make = (text: string) =>
    catalog.createBranch({
      name: name(text),
      parent: now('shop').id,
      ancestorLsn: LSN,
      branchesMax: 5,
    });
  const made = await Promise.allSettled(['a', 'b', 'c', 'd', 'e', 'f'].map(make));
  expect(made.map(({ status }) => status).sort()).toEqual(
    ['fulfilled', 'fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'rejected'].sort(),
  );
  expect(catalog.branchCountOf(tenant)).toBe(5);
  await catalog.deleteBranch(now('a').id);
  await make('g');
});

it('reads a catalog of version 1, and knows what holds its timelines', async () => {
  await create('a', 'shop', 8n);
  await create('b', 'a', 16n);
  await catalog.close();
  const tables = openTables(dir);
  for (const table of [tables.holds, tables.checkpoints, tables.expiries]) table.clearSync();
  tables.meta.removeSync(`branches_of/${tenant}`);
  tables.meta.putSync('schema_version', 1);
  await tables.root.close();
  catalog = open();
  expect(catalog.branchCountOf(tenant)).toBe(3);
  expect(catalog.keptLsns(now('a').timeline)).toMatchObject([{ lsn: at(16n), by: 'child' }]);
  await move('a', 16n);
  expect(catalog.ownTimelines(now('a'))).toHaveLength(2);
  await catalog.deleteBranch(now('b').id);
  await catalog.deleteBranch(now('a').id);
  expect(indexes()).toHaveLength(1);
});

it("reads a catalog of version 2, and knows which timelines go on from their branch's own history", async () => {
  await create('a', 'shop', 8n);
  const first = now('a').timeline;
  await move('a', 16n);
  const restored = now('a').timeline;
  await create('b', 'a', 16n);
  await catalog.close();
  const tables = openTables(dir);
  // As that version wrote them: the restored one was made for the branch of its parent, the others were not.
  for (const { key, value } of [...tables.timelines.getRange()]) {
    const { continues: _, ...record } = value;
    const madeFor = [first, restored].includes(key) ? tables.branchNames.get('a') : `of ${key}`;
    tables.timelines.putSync(key, { ...record, madeFor } as never);
  }
  tables.meta.putSync('schema_version', 2);
  await tables.root.close();
  catalog = open();
  expect(catalog.ownTimelines(now('a')).map(({ id }) => id)).toEqual([restored, first]);
  expect(catalog.ownTimelines(now('b'))).toHaveLength(1);
  expect(catalog.branchCountOf(tenant)).toBe(3);
  expect(catalog.timeline(first)).not.toHaveProperty('madeFor');
});
