import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Lsn, parseBranchName, parseTenantName, randomTenantId } from '@offshoot/types';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Catalog } from './catalog.js';

const dir = () => mkdtempSync(join(tmpdir(), 'offshoot-keys-'));
const lsn = 0x200_0138n as Lsn;
let at: string;
let catalog: Catalog;
let now = new Date('2026-01-01T00:00:00Z');

beforeEach(async () => {
  at = dir();
  now = new Date('2026-01-01T00:00:00Z');
  catalog = Catalog.open(at, { now: () => now });
  const { id } = await catalog.reserveTenant({
    id: randomTenantId(),
    name: parseTenantName('shop'),
  } as never);
  await catalog.activateTenant(id, { readableFrom: lsn, lastRecordLsn: lsn, tli: 1, stats: {} as never });
});

afterEach(async () => {
  await catalog.close();
  rmSync(at, { recursive: true });
});

function create(name: string, key: string, { keysMax = 100, expiresAt = '2026-01-02T00:00:00.000Z' } = {}) {
  return catalog.createBranch({
    name: parseBranchName(name),
    parent: catalog.branchNamed(parseBranchName('shop')).id,
    ancestorLsn: lsn,
    role: { name: 'r', verifier: 'v', rights: 'owner' },
    idempotencyKey: { key, requestHash: 'h', expiresAt, passwordNonce: 'n', answer: '{}', keysMax },
  });
}

test('a key is known with its branch, also after a restart', async () => {
  const { branch } = await create('a', 'k');
  await catalog.close();
  catalog = Catalog.open(at, { now: () => now });
  expect(catalog.idempotencyKey('k')).toMatchObject({
    branch: branch.id,
    requestHash: 'h',
    passwordSetAt: branch.role?.passwordSetAt,
  });
  expect(branch).not.toHaveProperty('idempotencyKey');
});

test('a key is known with what is done to a branch, also after a restart, and not with what is refused', async () => {
  const { branch } = await create('a', 'k');
  const key = (text: string) => ({
    ...{ key: text, requestHash: 'h', answer: text, keysMax: 100 },
    expiresAt: '2026-01-02T00:00:00.000Z',
  });
  const { timeline } = branch;
  const point = { from: timeline, point: { timeline, lsn } };
  await catalog.moveBranch(branch.id, { ...point, idempotencyKey: key('move') });
  await catalog.renameBranch(branch.id, parseBranchName('b'), key('rename'));
  const named = { branch: branch.id, name: 'c', lsn, kind: 'manual', checkpointsMax: 1 } as const;
  const checkpoint = { ...named, timeline: catalog.branchNamed(parseBranchName('b')).timeline };
  const made = { ...key('checkpoint'), answer: ({ name }: { name: string }) => `made ${name}` };
  await catalog.createCheckpoint({ ...checkpoint, idempotencyKey: made });
  const late = [
    catalog.moveBranch(branch.id, { ...point, idempotencyKey: key('late') }),
    catalog.renameBranch(branch.id, parseBranchName('shop'), key('late')),
    catalog.createCheckpoint({ ...checkpoint, idempotencyKey: { ...made, key: 'late' } }),
  ];
  for (const each of await Promise.allSettled(late)) expect(each.status).toBe('rejected');
  await catalog.close();
  catalog = Catalog.open(at, { now: () => now });
  const answers = ['move', 'rename', 'checkpoint', 'late'].map(
    (text) => catalog.idempotencyKey(text)?.answer,
  );
  expect(answers).toEqual(['move', 'rename', 'made c', undefined]);
});

test('a branch that cannot be made leaves no key', async () => {
  await create('a', 'k1');
  await expect(create('a', 'k2')).rejects.toMatchObject({ code: 'name_taken' });
  expect(catalog.idempotencyKey('k2')).toBeUndefined();
});

test('a key is forgotten after its time, and gone with the next that comes', async () => {
  await create('a', 'old', { expiresAt: '2026-01-01T01:00:00.000Z' });
  now = new Date('2026-01-01T01:00:00Z');
  expect(catalog.idempotencyKey('old')).toBeUndefined();
  await create('b', 'old');
  expect(catalog.idempotencyKey('old')).toMatchObject({ expiresAt: '2026-01-02T00:00:00.000Z' });
});

test('no more keys are known than may be; the oldest go first', async () => {
  for (let n = 0; n < 9; n += 1) {
    await create(`b${n}`, `k${n}`, { keysMax: 3, expiresAt: `2026-01-02T00:00:0${n}.000Z` });
  }
  const known = Array.from({ length: 9 }, (_, n) => `k${n}`).filter((key) => catalog.idempotencyKey(key));
  expect(known).toEqual(['k6', 'k7', 'k8']);
});
