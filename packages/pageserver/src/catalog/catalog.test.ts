import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BranchName, type Lsn, parseBranchName, parseTenantName, randomTenantId } from '@offshoot/types';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Catalog, type NewTenant } from './catalog.js';
import type { ImportStats, TenantRecord } from './records.js';

const stats: ImportStats = {
  startLsn: 0x200_0028n as Lsn,
  endLsn: 0x200_0138n as Lsn,
  archiveBytes: 5_000_000_000,
  pages: 2900,
  walRecords: 3,
  durationMs: 12,
  unsupported: [{ name: 'Database/CREATE_FILE_COPY', count: 2 }],
};

function newTenant(name: string): NewTenant {
  return {
    id: randomTenantId(),
    name: parseTenantName(name),
    source: { url: 'postgres://alice@db/shop', systemIdentifier: '18446744073709551615' },
    pgMajor: 15,
    pgVersionNum: 150018,
    walSegmentBytes: 16 * 1024 * 1024,
    blockBytes: 8192,
    dataChecksums: 'on',
    defaultUser: 'postgres',
    defaultDatabase: 'shop',
    databases: ['postgres', 'shop'],
  };
}

let dir: string;
let catalog: Catalog;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'offshoot-catalog-'));
  catalog = Catalog.open(dir);
});

afterEach(async () => {
  await catalog.close();
  rmSync(dir, { recursive: true });
});

async function imported(name: string): Promise<TenantRecord> {
  const { id } = await catalog.reserveTenant(newTenant(name));
  await catalog.activateTenant(id, {
    readableFrom: stats.endLsn,
    lastRecordLsn: stats.endLsn,
    tli: 1,
    stats,
  });
  return catalog.tenant(id);
}

async function branch(name: string, from: string, ancestorLsn: bigint = stats.endLsn) {
  const parent = catalog.branchNamed(parseBranchName(from)).id;
  return await catalog.createBranch({
    name: parseBranchName(name),
    parent,
    ancestorLsn: ancestorLsn as Lsn,
  });
}

const names = () => catalog.branches().map(({ name }) => name as string);
const coded = (code: string) => expect.objectContaining({ code });

it('tells of a change to whoever has not seen it, at whatever moment of its commit that was', async () => {
  await imported('shop');
  let looks = 0;
  for (let round = 0; round < 50; round += 1) {
    const name = parseBranchName(`b${round}`);
    let written = false;
    const write = branch(name, 'shop').then(() => {
      written = true;
    });
    let without: number | undefined;
    for (; !written; looks += 1) {
      const { position } = catalog.branchChanges(undefined);
      if (catalog.findBranchNamed(name) === undefined) without = position;
      await new Promise(setImmediate);
    }
    await write;
    expect(catalog.branchChanges(without).ids).toContain(catalog.findBranchNamed(name)?.id);
  }
  expect(looks).toBeGreaterThan(50);
});

describe('what is chosen for a branch, and how it is used', () => {
  it('is absent until it is chosen, as in catalogs of earlier versions', async () => {
    await imported('shop');
    const { branch: fix } = await branch('fix', 'shop');
    expect(Object.keys(fix).sort()).toEqual(
      ['createdAt', 'durability', 'id', 'name', 'parent', 'tenant', 'timeline'].sort(),
    );
    expect(await catalog.updateBranch(fix.id, { idleTimeoutSeconds: 0 })).toEqual({
      ...fix,
      idleTimeoutSeconds: 0,
    });
  });

  it('changes on its own, and is there after the catalog was closed and opened', async () => {
    await imported('shop');
    const { branch: fix } = await branch('fix', 'shop');
    const lastWake = { at: '2026-01-01T00:00:00.000Z', phasesMs: { park: 0.5, total: 90 } };
    const use = { wakes: 3, lastConnectionAt: '2026-01-01T00:00:00.000Z', lastWake };
    await catalog.updateBranch(fix.id, { idleTimeoutSeconds: 60 });
    await catalog.recordUse(fix.id, use);
    await catalog.updateBranch(fix.id, { durability: 'async' });
    await catalog.close();
    catalog = Catalog.open(dir);
    expect(catalog.findBranch(fix.id)).toEqual({ ...fix, idleTimeoutSeconds: 60, durability: 'async', use });
    await expect(catalog.recordUse('0'.repeat(32) as typeof fix.id, use)).rejects.toEqual(
      coded('branch_not_found'),
    );
  });
});

describe("a branch's own role", () => {
  const role = { name: 'agent', verifier: 'SCRAM-SHA-256$1:a$b:c', rights: 'owner' } as const;

  it('comes with the branch or later, and that there was one stays known', async () => {
    await imported('shop');
    const parent = catalog.branchNamed(parseBranchName('shop')).id;
    const name = parseBranchName('fix');
    const made = await catalog.createBranch({ name, parent, ancestorLsn: stats.endLsn, role });
    expect(made.branch).toMatchObject({
      role: { ...role, passwordSetAt: expect.any(String) },
      hadRole: true,
    });
    await catalog.setBranchRole(made.branch.id, { ...role, verifier: 'another' });
    await catalog.close();
    catalog = Catalog.open(dir);
    expect(catalog.findBranch(made.branch.id)?.role?.verifier).toBe('another');
    const left = await catalog.removeBranchRole(made.branch.id);
    expect(left).toEqual(catalog.findBranch(made.branch.id));
    expect([left.hadRole, 'role' in left]).toEqual([true, false]);
  });
});

describe('a tenant', () => {
  it('has no branch before its import is whole, and one of its name after', async () => {
    const reserved = await catalog.reserveTenant(newTenant('shop'));
    expect(reserved.state).toBe('importing');
    expect(names()).toEqual([]);
    const { branch: root, timeline } = await catalog.activateTenant(reserved.id, {
      readableFrom: stats.endLsn,
      lastRecordLsn: stats.endLsn,
      tli: 1,
      stats,
    });
    expect(root.name).toBe('shop');
    expect(timeline).toMatchObject({ index: reserved.rootIndex, readableFrom: stats.endLsn });
    expect(catalog.tenant(reserved.id)).toEqual({ ...reserved, state: 'active', tli: 1, importStats: stats });
  });

  it('is the same after the catalog was closed and opened', async () => {
    const tenant = await imported('shop');
    const { timeline } = await branch('fix', 'shop');
    await catalog.close();
    catalog = Catalog.open(dir);
    expect(catalog.tenants()).toEqual([tenant]);
    expect(names().sort()).toEqual(['fix', 'shop']);
    expect(catalog.timeline(timeline.id)).toEqual(timeline);
    expect(catalog.timelines(tenant.id).at(-1)).toEqual(timeline);
  });

  it('goes with everything it has, and its name is free again', async () => {
    const { id } = await imported('shop');
    const other = await imported('other');
    await branch('fix', 'shop');
    await branch('fix-2', 'fix');
    await catalog.markTenantDeleting(id);
    expect(catalog.tenant(id).state).toBe('deleting');
    await expect(branch('late', 'shop')).rejects.toEqual(coded('tenant_not_active'));
    await catalog.removeTenant(id);
    await catalog.removeTenant(id);
    expect(names()).toEqual(['other']);
    expect(catalog.tenants()).toEqual([other]);
    expect(catalog.timelines(id)).toEqual([]);
    await imported('shop');
  });

  it('keeps its name while it is importing, and says why it failed', async () => {
    await imported('other');
    const { id } = await catalog.reserveTenant(newTenant('shop'));
    await expect(catalog.reserveTenant(newTenant('shop'))).rejects.toEqual(coded('name_taken'));
    await expect(branch('shop', 'other')).rejects.toEqual(coded('name_taken'));
    await catalog.markTenantFailed(id, 'the disk is full');
    expect(catalog.tenant(id)).toMatchObject({ state: 'failed', failure: 'the disk is full' });
  });
});

describe('a branch', () => {
  it('knows its parent, and where it left it', async () => {
    await imported('shop');
    const { branch: fix, timeline } = await branch('fix', 'shop', 0x300_0000n);
    const root = catalog.branchNamed('shop' as BranchName);
    expect(fix).toMatchObject({ name: 'fix', parent: root.id, timeline: timeline.id });
    expect(timeline).toMatchObject({
      parent: { timeline: root.timeline, ancestorLsn: 0x300_0000n },
      readableFrom: 0x300_0000n,
      lastRecordLsn: 0x300_0000n,
    });
  });

  it('is refused', async () => {
    await imported('shop');
    await branch('fix', 'shop');
    await expect(branch('fix', 'shop')).rejects.toEqual(coded('name_taken'));
    await expect(branch('shop', 'fix')).rejects.toEqual(coded('name_taken'));
    await expect(branch('early', 'shop', 1n)).rejects.toEqual(coded('branch_point_out_of_range'));
    expect(names().sort()).toEqual(['fix', 'shop']);
  });

  it('is deleted leaf first', async () => {
    await imported('shop');
    await branch('a', 'shop');
    const { branch: b, timeline } = await branch('b', 'a');
    const { branch: c } = await branch('c', 'a');
    const { id } = catalog.branchNamed('a' as BranchName);
    await expect(catalog.deleteBranch(id)).rejects.toThrow(/delete them first: (b, c|c, b)$/);
    await catalog.deleteBranch(b.id);
    await catalog.deleteBranch(c.id);
    await catalog.deleteBranch(id);
    await expect(catalog.deleteBranch(id)).rejects.toEqual(coded('branch_not_found'));
    expect(catalog.findTimeline(timeline.id)).toBeUndefined();
    const root = catalog.branchNamed('shop' as BranchName);
    await expect(catalog.deleteBranch(root.id)).rejects.toEqual(coded('branch_is_root'));
    expect(names()).toEqual(['shop']);
  });

  it('gets a timeline index that nothing had before', async () => {
    await imported('shop');
    const seen = new Set<number>(catalog.timelines(catalog.tenants()[0]?.id as never).map((t) => t.index));
    for (let round = 0; round < 5; round++) {
      const { branch: made, timeline } = await branch('fix', 'shop');
      expect(seen.has(timeline.index)).toBe(false);
      seen.add(timeline.index);
      await catalog.deleteBranch(made.id);
    }
  });

  it('is one of many, made at once', async () => {
    await imported('shop');
    const wanted = Array.from({ length: 500 }, (_, index) => `b${index}`);
    await Promise.all(wanted.map((name) => branch(name, 'shop')));
    expect(names().sort()).toEqual([...wanted, 'shop'].sort());
    const indexes = catalog.timelines(catalog.tenants()[0]?.id as never).map(({ index }) => index);
    expect(new Set(indexes).size).toBe(501);
  });
});

it('does not read the catalog of a later version', async () => {
  await catalog.close();
  const { openTables } = await import('./catalog-tables.js');
  const tables = openTables(dir);
  await tables.meta.put('schema_version', 99);
  await tables.root.close();
  expect(() => Catalog.open(dir)).toThrow(coded('catalog_too_new'));
});

it('remembers why a tenant needs to be imported again: what was said first', async () => {
  const { id } = await imported('shop');
  await catalog.markSlotDropped(id);
  expect(catalog.tenant(id).needsReimport).toBeUndefined();
  await catalog.markNeedsReimport(id, { code: 'replication_slot_lost', message: 'too much WAL' });
  await catalog.markNeedsReimport(id, { code: 'replication_slot_lost', message: 'the slot is gone' });
  await catalog.markSlotDropped(id);
  await catalog.close();
  catalog = Catalog.open(dir);
  expect(catalog.tenant(id)).toMatchObject({
    state: 'active',
    needsReimport: { message: 'too much WAL', slot: 'dropped', since: expect.stringMatching(/^\d{4}-/) },
  });
});
