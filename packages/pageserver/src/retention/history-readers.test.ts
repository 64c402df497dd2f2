import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Lsn, parseBranchName, randomTenantId, type TenantId, type TimelineId } from '@offshoot/types';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Catalog } from '../catalog/catalog.js';
import { newTenant } from '../catalog/testing/new-tenant.js';
import { HistoryReaders } from './history-readers.js';

const LSN = 0x200_0138n as Lsn;
let dir: string;
let catalog: Catalog;
let tenant: TenantId;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'offshoot-readers-'));
  catalog = Catalog.open(dir);
  tenant = randomTenantId();
  await catalog.reserveTenant(newTenant('shop', tenant));
  await catalog.activateTenant(tenant, {
    readableFrom: LSN,
    lastRecordLsn: LSN,
    tli: 1,
    stats: {} as never,
  });
});

afterEach(async () => {
  await catalog.close();
  rmSync(dir, { recursive: true });
});

const named = (text: string) => catalog.branchNamed(parseBranchName(text));
const begin = () => new HistoryReaders(catalog, catalog.timelines(tenant));
const create = (name: string, from: string) =>
  catalog.createBranch({ name: parseBranchName(name), parent: named(from).id, ancestorLsn: LSN });

async function go(name: string, to: TimelineId, how: 'restored' | 'reset', preserveAs?: string) {
  const { id, timeline: from } = named(name);
  const kept = preserveAs === undefined ? {} : { preserveAs: parseBranchName(preserveAs) };
  await catalog.moveBranch(id, {
    from,
    point: { timeline: to, lsn: LSN },
    continues: how === 'restored',
    ...kept,
  });
  return named(name).timeline;
}

test('a timeline is read by the branch that names it, and by those that have gone on from it', async () => {
  const { timeline: first } = await create('a', 'shop');
  await create('child', 'a');
  expect(begin().of(first.id)).toEqual([first.id]);
  expect(begin().of(named('shop').timeline)).toEqual([named('shop').timeline]);
  const second = await go('a', first.id, 'restored');
  const third = await go('a', second, 'restored', 'kept');
  expect(begin().of(first.id)).toEqual([second, third]);
  expect(begin().of(second)).toEqual([second, third]);
  expect(begin().of(third)).toEqual([third]);
});

test('what a branch keeps of its history may begin behind what it has left', async () => {
  const { timeline: first } = await create('a', 'shop');
  const second = await go('a', first.id, 'restored');
  await catalog.raiseReadableFrom(second, (LSN + 8n) as Lsn);
  expect(begin().of(first.id)).toEqual([]);
  expect(begin().of(second)).toEqual([second]);
});

test('what only others start from, or a reset has left, is nobody’s history', async () => {
  const { timeline: first } = await create('a', 'shop');
  await create('child', 'a');
  await go('a', named('shop').timeline, 'reset');
  expect(begin().of(first.id)).toEqual([]);
});

test('but while the branch has a checkpoint there, it may go back', async () => {
  const { timeline: first } = await create('a', 'shop');
  const checkpoint = { branch: named('a').id, name: 'c', timeline: first.id, lsn: LSN, checkpointsMax: 1 };
  await catalog.createCheckpoint({ ...checkpoint, kind: 'manual' });
  const second = await go('a', named('shop').timeline, 'reset');
  expect(begin().of(first.id)).toEqual([second]);
  const third = await go('a', first.id, 'restored');
  expect(begin().of(first.id)).toEqual([third]);
});

test('a round does not know whose a timeline is that was left since it began', async () => {
  const { timeline: first } = await create('a', 'shop');
  const round = begin();
  await go('a', first.id, 'restored');
  expect(round.of(first.id)).toBeUndefined();
});
