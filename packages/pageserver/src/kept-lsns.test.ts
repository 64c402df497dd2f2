import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Lsn, parseBranchName, randomTenantId, type TenantId } from '@offshoot/types';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Catalog } from './catalog/catalog.js';
import { newTenant } from './catalog/testing/new-tenant.js';
import { PageServer } from './page-server.js';
import { retentionDefaults } from './retention/retention-settings.js';

const IMPORTED = 0x200_0138n as Lsn;
const at = (plus: bigint) => (IMPORTED + plus) as Lsn;
const name = parseBranchName;
const gone = expect.objectContaining({ code: 'branch_point_out_of_range' });

let dataDir: string;
let server: PageServer;
let tenant: TenantId;

const now = (text = 'shop') => server.catalog.branchNamed(name(text));
const root = () => server.timelineOfBranch(name('shop'));

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'offshoot-kept-'));
  tenant = randomTenantId();
  const catalog = Catalog.open(join(dataDir, 'catalog'));
  await catalog.reserveTenant(newTenant('shop', tenant));
  mkdirSync(join(dataDir, 'tenants', tenant), { recursive: true });
  const history = { readableFrom: IMPORTED, lastRecordLsn: at(800n), tli: 1, stats: {} as never };
  await catalog.activateTenant(tenant, history);
  await catalog.close();
  await open();
});

afterEach(async () => {
  await server.close();
  rmSync(dataDir, { recursive: true });
});

/** Rounds leave the window where it is; `narrow` moves it. */
async function open(): Promise<void> {
  server = await PageServer.open({
    dataDir,
    settings: {
      store: {
        mapSizeInitialBytes: 16 * 1024 * 1024,
        readersMax: 16,
        pageCacheBytes: 1024 * 1024,
        keyFilterBytes: 1024 * 1024,
      },
      importsMax: 1,
      retention: { ...retentionDefaults, historySeconds: 0, intervalMs: 3_600_000 },
    },
  });
  server.startRetention();
}

/** As a round does of which the cutoff is that. */
async function narrow(plus: bigint): Promise<void> {
  const { timeline } = now();
  await server.catalog.raiseReadableFrom(timeline, at(plus));
  const kept = [...root().pinned(), ...server.catalog.keptLsns(timeline).map(({ lsn }) => lsn)];
  root().narrow(at(plus), new Set(kept));
}

const checkpoint = (called: string, plus: bigint, text = 'shop', timeline = now(text).timeline) =>
  server.createCheckpoint(now(text), {
    branch: now(text).id,
    name: called,
    timeline,
    lsn: at(plus),
    kind: 'manual',
    checkpointsMax: 100,
  });

const move = (text: string, plus: bigint) => {
  const { timeline } = now();
  return server.moveBranch(now(text), { from: now(text).timeline, point: { timeline, lsn: at(plus) } });
};

it('before the window is what the catalog keeps, for all that begins there; nothing else', async () => {
  await checkpoint('kept', 16n);
  await server.createBranch(name('a'), name('shop'), at(32n));
  await narrow(400n);
  expect([...root().kept].sort()).toEqual([at(16n), at(32n)]);
  for (const plus of [16n, 32n]) {
    await server.createBranch(name(`of-${plus}`), name('shop'), at(plus));
    await checkpoint(`more-${plus}`, plus);
    await move('a', plus);
  }
  for (const plus of [0n, 24n, 399n]) {
    await expect(server.createBranch(name('no'), name('shop'), at(plus))).rejects.toEqual(gone);
    await expect(checkpoint('no', plus)).rejects.toEqual(gone);
    await expect(move('a', plus)).rejects.toEqual(gone);
  }
  await expect(move('a', 801n)).rejects.toEqual(gone);
  await server.close();
  await open();
  expect([...root().kept].sort()).toEqual([at(16n), at(32n)]);
  await move('a', 16n);
});

it('what nobody holds any more is given up with the next round, and never comes back', async () => {
  await checkpoint('only', 16n);
  await server.createBranch(name('a'), name('shop'), at(32n));
  await narrow(400n);
  await server.deleteCheckpoint(now(), 'only');
  await move('a', 500n);
  await server.collect(tenant);
  expect([...root().kept]).toEqual([]);
  for (const plus of [16n, 32n]) {
    await expect(checkpoint('again', plus)).rejects.toEqual(gone);
    await expect(move('a', plus)).rejects.toEqual(gone);
  }
});

it('a former timeline is attached as long as a checkpoint or child holds it, and then reclaimed', async () => {
  await server.createBranch(name('a'), name('shop'), at(32n));
  const { timeline: former } = now('a');
  await checkpoint('kept', 32n, 'a');
  await move('a', 500n);
  await server.collect(tenant);
  expect(server.timelineOf(tenant, former).covers(at(32n))).toBe(true);
  await server.createBranch(name('child'), name('a'), at(32n), { timeline: former });
  await server.deleteCheckpoint(now('a'), 'kept');
  await server.collect(tenant);
  expect(server.timelineOf(tenant, former).covers(at(32n))).toBe(true);
  await server.deleteBranch(name('child'));
  expect(() => server.timelineOf(tenant, former)).toThrow(
    expect.objectContaining({ code: 'timeline_not_found' }),
  );
});

it('whatever begins while a round gives something up is kept, or refused', async () => {
  let [made, refused] = [0, 0];
  for (let round = 0; round < 40; round += 1) {
    const plus = BigInt(8 * (round + 1));
    await checkpoint(`first-${round}`, plus);
    await narrow(BigInt(8 * (round + 2)));
    const wait = async (turns: number) => {
      for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
    };
    const [, , outcome] = await Promise.all([
      server.deleteCheckpoint(now(), `first-${round}`),
      server.collect(tenant),
      wait(round % 10)
        .then(() => checkpoint(`second-${round}`, plus))
        .catch((error: unknown) => error),
    ]);
    await server.collect(tenant);
    if (outcome instanceof Error) {
      expect(outcome).toEqual(gone);
      expect(root().covers(at(plus))).toBe(false);
      refused += 1;
    } else {
      expect(root().covers(at(plus))).toBe(true);
      await server.deleteCheckpoint(now(), `second-${round}`);
      made += 1;
    }
  }
  expect(made + refused).toBe(40);
  expect(made).toBeGreaterThan(0);
});
