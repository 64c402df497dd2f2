import { parseBranchName } from '@offshoot/types';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ControlPlane } from '../control-plane.js';
import { ControlFixture, IMPORTED } from '../testing/control-fixture.js';
import { FakeClock } from '../testing/fake-clock.js';
import { SnapshotTaker, snapshotName } from './snapshot-taker.js';

/** For what never comes: how long it takes is not what this is about. */
const SOON = { timeout: 20_000 };

const MINUTE_MS = 60_000;
let clock: FakeClock;
let fixture: ControlFixture;
let control: ControlPlane;

beforeEach(async () => {
  clock = new FakeClock();
  fixture = await ControlFixture.open(['shop'], { clock });
  ({ control } = fixture);
});

afterEach(async () => {
  await control.close();
  expect(clock.pending).toBe(0);
  await fixture[Symbol.asyncDispose]();
});

const taken = (branch: string) => control.checkpoints(branch).map(({ name }) => name);

test('checkpoints are taken again and again, and the newest stay, those made by hand too', async () => {
  const { catalog } = fixture.pageServer;
  const shop = () => catalog.branchNamed(parseBranchName('shop'));
  await control.createCheckpoint('shop', { name: 'mine' });
  let written = 0n;
  let troubles = 0;
  const taker = new SnapshotTaker({
    catalog,
    clock,
    checkMs: 10_000,
    take: async ({ id: branch, timeline }, { name, keep }) => {
      written += 8n;
      const lsn = (IMPORTED + written) as typeof IMPORTED;
      const policy = { kind: 'periodic', checkpointsMax: 10, keepPeriodic: keep } as const;
      // The one that failed is tried again when the next is due.
      if (written === 16n) throw new Error('no room');
      await catalog.createCheckpoint({ branch, name, timeline, lsn, ...policy });
    },
    onTrouble: () => {
      troubles += 1;
    },
  });
  taker.stir();
  taker.changed(await catalog.updateBranch(shop().id, { snapshots: { everySeconds: 300, keep: 3 } }));
  await expect.poll(() => clock.pending, SOON).toBe(1);
  for (let minute = 0; minute < 30; minute += 1) {
    await clock.pass(MINUTE_MS);
    await expect.poll(() => clock.pending, SOON).toBe(1);
  }
  expect(troubles).toBe(1);
  expect(control.checkpoints('shop')).toMatchObject([
    { name: 'mine', kind: 'manual' },
    { kind: 'periodic', created_at: '2026-01-01T00:20:00.000Z' },
    { kind: 'periodic', created_at: '2026-01-01T00:25:00.000Z' },
    { kind: 'periodic', created_at: '2026-01-01T00:30:00.000Z' },
  ]);
  taker.changed(await catalog.updateBranch(shop().id, { snapshots: null }));
  await expect.poll(() => clock.pending, SOON).toBe(0);
  await taker.close();
});

test('none is taken while nothing is written, and one is due at once after a restart that was long', async () => {
  await control.createBranch({ name: 'a', from: 'shop', snapshots: { every_seconds: 60, keep: 5 } });
  await expect.poll(() => taken('a').length, SOON).toBe(1);
  for (let minute = 0; minute < 3; minute += 1) await clock.pass(MINUTE_MS);
  expect(taken('a')).toHaveLength(1);
  await control.createBranch({ name: 'b', from: 'a', at: '@newest' });
  await control.close();
  clock.set(clock.now() + 60 * MINUTE_MS);
  const { catalog } = fixture.pageServer;
  await catalog.deleteCheckpoint(control.branch('a').id as never, taken('a')[0] ?? '');
  const again = fixture.again();
  await expect.poll(() => again.checkpoints('a').length, SOON).toBe(1);
  await again.close();
});

test('its name tells when', () => {
  expect(snapshotName(new Date('2026-11-21T12:00:00.5Z'))).toBe('auto-20261121t120000.500z');
});
