import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Lsn,
  parseBranchName,
  parseTenantName,
  randomTenantId,
  type TenantId,
  type TimelineId,
} from '@offshoot/types';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Catalog } from './catalog/catalog.js';
import { newTenant } from './catalog/testing/new-tenant.js';
import { fakeSource } from './import/testing/fake-source.js';
import { PageServer } from './page-server.js';
import { pageServerDefaults } from './page-server-settings.js';

const IMPORTED = 0x200_0138n as Lsn;
const settings = {
  store: {
    mapSizeInitialBytes: 16 * 1024 * 1024,
    readersMax: 16,
    pageCacheBytes: 1024 * 1024,
    keyFilterBytes: 1024 * 1024,
  },
  import: pageServerDefaults.import,
  importsMax: 1,
};

let dataDir: string;
let server: PageServer;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'offshoot-pageserver-'));
});

afterEach(async () => {
  await server?.close();
  rmSync(dataDir, { recursive: true });
});

const name = parseBranchName;
const coded = (code: string) => expect.objectContaining({ code });
const directory = (tenant: TenantId) => join(dataDir, 'tenants', tenant);

async function open(): Promise<PageServer> {
  server = await PageServer.open({ dataDir, settings });
  return server;
}

/** Puts a tenant into the catalog of a data directory that nobody has open: with no pages, but with a directory. */
async function tenant(
  text: string,
  state: 'importing' | 'active' | 'deleting' | 'failed',
): Promise<TenantId> {
  const catalog = Catalog.open(join(dataDir, 'catalog'));
  const { id } = await catalog.reserveTenant(newTenant(text));
  mkdirSync(directory(id), { recursive: true });
  if (state === 'active' || state === 'deleting') {
    await catalog.activateTenant(id, {
      readableFrom: IMPORTED,
      lastRecordLsn: IMPORTED,
      tli: 1,
      stats: {} as never,
    });
  }
  if (state === 'deleting') {
    await catalog.markTenantDeleting(id);
  } else if (state === 'failed') {
    await catalog.markTenantFailed(id, 'the disk was full');
  }
  await catalog.close();
  return id;
}

describe('a page server', () => {
  it('opens what is active, and removes what was half made or half deleted', async () => {
    const active = await tenant('shop', 'active');
    for (const state of ['importing', 'deleting', 'failed'] as const) {
      await tenant(state, state);
    }
    await open();
    expect(server.catalog.tenants().map(({ id }) => id)).toEqual([active]);
    expect(server.catalog.branches().map((branch) => branch.name as string)).toEqual(['shop']);
    expect(readdirSync(join(dataDir, 'tenants'))).toEqual([active]);
    const timeline = server.timelineOfBranch(name('shop'));
    expect(timeline).toMatchObject({ readableFrom: IMPORTED, walSegmentBytes: 16 * 1024 * 1024 });
    expect(timeline.lastRecordLsn()).toBe(IMPORTED);
  });

  it('leaves directories alone that the catalog does not know', async () => {
    mkdirSync(join(dataDir, 'tenants', 'f'.repeat(32)), { recursive: true });
    await open();
    expect(readdirSync(join(dataDir, 'tenants'))).toEqual(['f'.repeat(32)]);
  });

  it('serves the others when one tenant cannot be opened', async () => {
    const broken = await tenant('broken', 'active');
    await tenant('shop', 'active');
    rmSync(directory(broken), { recursive: true });
    writeFileSync(directory(broken), 'not a directory');
    await open();
    expect(server.timelineOfBranch(name('shop')).lastRecordLsn()).toBe(IMPORTED);
    expect(() => server.timelineOfBranch(name('broken'))).toThrow(coded('tenant_unavailable'));
    await expect(server.createBranch(name('fix'), name('broken'))).rejects.toEqual(
      coded('tenant_unavailable'),
    );
    expect(server.unavailable(broken)).toMatchObject({ code: 'storage_io' });
    await server.deleteTenant(parseTenantName('broken'));
    expect(existsSync(directory(broken))).toBe(false);
  });

  it('makes branches of branches, and knows them after a restart', async () => {
    const id = await tenant('shop', 'active');
    await open();
    const made = await server.createBranch(name('a'), name('shop'));
    await server.createBranch(name('b'), name('a'), IMPORTED);
    expect(made.timeline.parent?.ancestorLsn).toBe(IMPORTED);
    await server.close();
    await open();
    const found = await server.timeline(id, made.timeline.id);
    expect(found.lastRecordLsn()).toBe(IMPORTED);
    await expect(server.deleteBranch(name('a'))).rejects.toEqual(coded('branch_has_children'));
    await server.deleteBranch(name('b'));
    await server.deleteBranch(name('a'));
    await expect(server.timeline(id, made.timeline.id)).rejects.toEqual(coded('timeline_not_found'));
  });

  it.each([
    ['before the import', 'shop', IMPORTED - 8n, 'branch_point_out_of_range'],
    ['in the future', 'shop', IMPORTED + 8n, 'branch_point_out_of_range'],
    ['of nothing', 'nothing', undefined, 'branch_not_found'],
  ])('makes no branch %s', async (_, from, lsn, code) => {
    await tenant('shop', 'active');
    await open();
    const refused = server.createBranch(name('fix'), name(from), lsn as Lsn | undefined);
    await expect(refused).rejects.toEqual(coded(code));
    expect(server.catalog.branches()).toHaveLength(1);
  });

  it('gives each of many branches made at once a timeline of its own', async () => {
    await tenant('shop', 'active');
    await open();
    const names = Array.from({ length: 200 }, (_, index) => name(`b${index}`));
    const made = await Promise.all(names.map((each) => server.createBranch(each, name('shop'))));
    expect(new Set(made.map(({ timeline }) => timeline.index)).size).toBe(200);
    await Promise.all(names.map((each) => server.deleteBranch(each)));
    expect(server.catalog.branches()).toHaveLength(1);
  });

  it('ends waiting for an LSN when the waiter gives up', async () => {
    await tenant('shop', 'active');
    await open();
    const timeline = server.timelineOfBranch(name('shop'));
    await timeline.waitForLsn(IMPORTED, AbortSignal.timeout(1000));
    const waiting = timeline.waitForLsn((IMPORTED + 8n) as Lsn, AbortSignal.timeout(20));
    await expect(waiting).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  it('deletes a tenant once, however often it is asked at one time', async () => {
    const id = await tenant('shop', 'active');
    await open();
    const { timeline } = server.catalog.branchNamed(name('shop'));
    const shop = parseTenantName('shop');
    await Promise.all([server.deleteTenant(shop), server.deleteTenant(shop)]);
    expect(existsSync(directory(id))).toBe(false);
    expect(server.catalog.branches()).toEqual([]);
    await expect(server.deleteTenant(shop)).rejects.toEqual(coded('tenant_not_found'));
    await expect(server.timeline(id, timeline)).rejects.toEqual(coded('tenant_not_found'));
  });

  it('runs as many imports as it may, and cancels them when it closes', async () => {
    await open();
    await using source = await fakeSource({ BASE_BACKUP: () => {} });
    const request = { name: parseTenantName('shop'), url: source.url };
    const running = server.importTenant(request);
    running.catch(() => {});
    await expect.poll(() => server.catalog.tenants().length).toBe(1);
    await expect(server.deleteTenant(request.name)).rejects.toEqual(coded('tenant_not_active'));
    const second = server.importTenant({ ...request, name: parseTenantName('other') });
    await expect(second).rejects.toEqual(coded('too_many_imports'));
    await server.close();
    await expect(running).rejects.toEqual(coded('import_cancelled'));
    expect(readdirSync(join(dataDir, 'tenants'))).toEqual([]);
    await expect(server.importTenant(request)).rejects.toEqual(coded('page_server_closed'));
    await open();
    expect(server.catalog.tenants()).toEqual([]);
  });

  it('has its data directory to itself', async () => {
    await tenant('shop', 'active');
    const first = await open();
    await expect(PageServer.open({ dataDir, settings })).rejects.toEqual(coded('directory_locked'));
    await Promise.all([first.close(), first.close()]);
    await open();
    const unknown = server.timeline(randomTenantId(), '0'.repeat(32) as TimelineId);
    await expect(unknown).rejects.toEqual(coded('tenant_not_found'));
    const { catalogBytes, tenants } = await server.stats();
    expect(catalogBytes).toBeGreaterThan(0);
    expect([...tenants.values()]).toEqual([expect.objectContaining({ versions: 0, extents: 0 })]);
  });
});
