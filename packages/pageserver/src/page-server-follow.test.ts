import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Lsn, parseTenantName, randomTenantId, type TenantId } from '@offshoot/types';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Catalog } from './catalog/catalog.js';
import type { TenantState } from './catalog/records.js';
import { slotNameOf } from './import/replication-slot.js';
import { type FakeSource, fakeSource, reply, resultSet } from './import/testing/fake-source.js';
import { PageServer } from './page-server.js';
import { pageServerDefaults } from './page-server-settings.js';
import { keepSourceUrl } from './wal/source-url-file.js';

const IMPORTED = 0x200_0138n as Lsn;
const name = parseTenantName('shop');
let dataDir: string;
let server: PageServer | undefined;
let logged: string[];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'offshoot-follow-'));
  logged = [];
});

afterEach(async () => {
  await server?.close();
  server = undefined;
  rmSync(dataDir, { recursive: true });
});

async function open(): Promise<PageServer> {
  const follow = { ...pageServerDefaults.follow, slotDropTimeoutMs: 500, slotCheckIntervalMs: 20 };
  const store = {
    mapSizeInitialBytes: 16 * 1024 * 1024,
    readersMax: 16,
    pageCacheBytes: 1024 * 1024,
    keyFilterBytes: 1024 * 1024,
  };
  server = await PageServer.open({
    dataDir,
    settings: { store, follow },
    log: (text, facts) => logged.push(`${text} ${JSON.stringify(facts)}`),
  });
  return server;
}

/** What a former daemon left: a tenant that was imported from `url`, without pages. */
async function leave(
  url: string,
  state: TenantState,
  given = 'kept' as 'kept' | 'given-up',
): Promise<TenantId> {
  const catalog = Catalog.open(join(dataDir, 'catalog'));
  const id = randomTenantId();
  await catalog.reserveTenant({
    id,
    name,
    source: { url: 'postgres://db', systemIdentifier: '7000000000000000001', slot: slotNameOf(id) },
    pgMajor: 15,
    pgVersionNum: 150018,
    walSegmentBytes: 16 * 1024 * 1024,
    blockBytes: 8192,
    dataChecksums: 'off',
    defaultUser: 'postgres',
    defaultDatabase: 'postgres',
    databases: [],
  });
  const dir = join(dataDir, 'tenants', id);
  mkdirSync(dir, { recursive: true });
  await keepSourceUrl(dir, url);
  if (state !== 'importing') {
    const history = { readableFrom: IMPORTED, lastRecordLsn: IMPORTED, tli: 1 };
    await catalog.activateTenant(id, { ...history, stats: {} as never });
  }
  if (state === 'deleting') await catalog.markTenantDeleting(id);
  if (given === 'given-up') {
    await catalog.markNeedsReimport(id, { code: 'replication_slot_lost', message: 'too much WAL' });
  }
  await catalog.close();
  return id;
}

const drops = (source: FakeSource) => source.commands.filter((each) => each.startsWith('DROP'));

describe('a page server and the slots of its tenants', () => {
  it.each(['importing', 'deleting'] as const)('drops that of a tenant left %s', async (state) => {
    await using source = await fakeSource();
    const id = await leave(source.url, state);
    await open();
    expect(drops(source)).toEqual([`DROP_REPLICATION_SLOT "${slotNameOf(id)}" WAIT`]);
    expect(server?.catalog.tenants()).toEqual([]);
    expect(readdirSync(join(dataDir, 'tenants'))).toEqual([]);
  });

  it('removes a tenant whose source is gone, and says what is left there', async () => {
    const source = await fakeSource();
    await source[Symbol.asyncDispose]();
    const id = await leave(source.url, 'importing');
    await open();
    expect(server?.catalog.tenants()).toEqual([]);
    const [line] = logged.filter((each) => each.includes('drop it there by hand'));
    expect(line).toContain(`SELECT pg_drop_replication_slot('${slotNameOf(id)}')`);
    expect(line).not.toContain('secret');
  });

  it('follows a tenant again, and drops its slot with it', async () => {
    await using source = await fakeSource();
    const id = await leave(source.url, 'active');
    await open();
    expect(server?.receiverOf(id)).toMatchObject({ slotName: slotNameOf(id) });
    expect(await server?.deleteTenant(name)).toBeUndefined();
    expect(server?.receiverOf(id)).toBeUndefined();
    expect(drops(source)).toHaveLength(1);
  });

  it('answers what a deletion leaves on a source that does not answer', async () => {
    await using source = await fakeSource({ login: () => {} });
    const id = await leave(source.url, 'active');
    await open();
    const left = await server?.deleteTenant(name);
    expect(left).toEqual({
      slot: slotNameOf(id),
      sql: `SELECT pg_drop_replication_slot('${slotNameOf(id)}')`,
      reason: expect.stringMatching(/within 0.5 s/),
    });
    expect(server?.catalog.tenants()).toEqual([]);
  });

  it('does not drop the slot of another cluster', async () => {
    const identity = resultSet(['systemid', 'timeline', 'xlogpos'], ['7', '1', '0/2000000']);
    await using source = await fakeSource({ IDENTIFY_SYSTEM: reply(identity) });
    await leave(source.url, 'active');
    await open();
    expect((await server?.deleteTenant(name))?.reason).toMatch(/another cluster/);
    expect(drops(source)).toEqual([]);
  });

  it('takes no word of a promoted server for it that its slot is gone', async () => {
    const identity = resultSet(
      ['systemid', 'timeline', 'xlogpos'],
      ['7000000000000000001', '2', '0/2000000'],
    );
    await using source = await fakeSource({ IDENTIFY_SYSTEM: reply(identity) });
    await leave(source.url, 'active');
    await open();
    expect(await server?.deleteTenant(name)).toMatchObject({
      reason: expect.stringMatching(/on timeline 2/),
      sql: expect.stringMatching(/pg_drop_replication_slot/),
    });
    expect(drops(source)).toEqual([]);
  });

  it('goes on dropping the slot of a tenant that was given up, and remembers that it has', async () => {
    const id = await leave('postgres://alice:secret@127.0.0.1:1/shop', 'active', 'given-up');
    await open();
    await expect.poll(() => logged.some((each) => each.includes('cannot be dropped yet'))).toBe(true);
    await server?.close();
    await using source = await fakeSource();
    writeFileSync(join(dataDir, 'tenants', id, 'source-url'), source.url);
    await open();
    await expect.poll(() => server?.catalog.tenant(id).needsReimport?.slot).toBe('dropped');
    expect(drops(source)).toHaveLength(1);
    expect(server?.receiverOf(id)).toMatchObject({
      state: 'needs_reimport',
      reason: { code: 'replication_slot_lost', message: 'too much WAL' },
    });
    expect(source.commands.filter((each) => each.startsWith('START'))).toEqual([]);
    // Once it is gone it is let alone.
    await server?.close();
    await open();
    expect(server?.receiverOf(id)?.state).toBe('needs_reimport');
    expect(drops(source)).toHaveLength(1);
  });

  it('watches the slot of a tenant whose store cannot be opened', async () => {
    const slot = resultSet(['slot_type', 'restart_lsn', 'restart_tli'], ['physical', '0/1000000', '1']);
    const identity = resultSet(
      ['systemid', 'timeline', 'xlogpos'],
      ['7000000000000000001', '1', '10/2000000'],
    );
    await using source = await fakeSource({
      READ_REPLICATION_SLOT: reply(slot),
      IDENTIFY_SYSTEM: reply(identity),
    });
    const id = await leave(source.url, 'active');
    mkdirSync(join(dataDir, 'tenants', id, 'data.mdb'));
    await open();
    expect(server?.unavailable(id)).toBeDefined();
    await expect.poll(() => server?.catalog.tenant(id).needsReimport?.slot).toBe('dropped');
    expect(drops(source)).toHaveLength(1);
  });
});
