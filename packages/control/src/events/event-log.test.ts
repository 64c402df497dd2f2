import { appendFileSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BranchEvent } from '@offshoot/client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ControlFixture } from '../testing/control-fixture.js';
import { FakeClock } from '../testing/fake-clock.js';
import { EventLog } from './event-log.js';

/** For what never comes: how long it takes is not what this is about. */
const SOON = { timeout: 20_000 };

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'offshoot-events-'));
});

afterEach(() => rmSync(dir, { recursive: true }));

const event = (serial: number, branch = 'a'): BranchEvent => ({
  time: '2026-01-01T00:00:00.000Z',
  event: 'created',
  branch,
  branch_id: '0'.repeat(32),
  tenant: 'shop',
  facts: { serial },
});
const serials = (events: readonly BranchEvent[]) => events.map(({ facts }) => facts?.serial);

test('events are there after the log was opened again, and of a cut line only the rest', async () => {
  const log = EventLog.open(dir);
  log.record(event(1));
  log.record(event(2, 'b'));
  log.close();
  appendFileSync(join(dir, 'events.jsonl'), '{"time":"2026-01-01T0');
  const again = EventLog.open(dir);
  again.record(event(3));
  expect(serials(await again.read({ limit: 10 }))).toEqual([1, 2, 3]);
  expect(serials(await again.read({ limit: 10, branch: 'a' }))).toEqual([1, 3]);
  expect(serials(await again.read({ limit: 1, branch: 'a' }))).toEqual([3]);
  expect(serials(await again.read({ limit: 10, branch: '0'.repeat(32) }))).toHaveLength(3);
  again.close();
});

test.each([1, 3])('%i files take so many bytes and no more, and the newest events stay', async (filesMax) => {
  const log = EventLog.open(dir, { fileBytesMax: 1000, filesMax });
  for (let serial = 1; serial <= 100; serial += 1) log.record(event(serial));
  const files = readdirSync(dir);
  expect(files).toHaveLength(filesMax);
  for (const file of files) expect(statSync(join(dir, file)).size).toBeLessThanOrEqual(1000);
  const left = serials(await log.read({ limit: 1000 }));
  expect(left.at(-1)).toBe(100);
  expect(left).toEqual(Array.from({ length: left.length }, (_, at) => 101 - left.length + at));
  expect(serials(await log.read({ limit: 2 }))).toEqual([99, 100]);
  log.close();
});

test('the life of a branch is told from its making to its end', async () => {
  const clock = new FakeClock();
  const events = EventLog.open(dir);
  await using fixture = await ControlFixture.open(['shop'], { clock, events });
  const { control, driver } = fixture;
  const { branch } = await control.createBranch({ name: 'a', from: 'shop', ttl_seconds: 7200 });
  (await control.open('a', { signal: AbortSignal.timeout(5000) })).release();
  await control.createCheckpoint('a', { name: 'clean' });
  await control.restoreBranch('a', { at: '@clean', preserve_as: 'before' });
  await control.resetBranch('a', {});
  await control.renameBranch('a', { name: 'b' });
  await control.startCompute('b');
  driver.crash('c2', 'killed');
  await expect.poll(() => control.branch('b').compute, SOON).toBe('crashed');
  await control.updateBranch('b', { ttl_seconds: 60 });
  expect(control.branch('b').activity).toMatchObject({
    first_wake_at: '2026-01-01T00:00:00.000Z',
    first_connection_at: '2026-01-01T00:00:00.000Z',
    slept_at: '2026-01-01T00:00:00.000Z',
  });
  expect(branch.requested_at).toBe('2026-01-01T00:00:00.000Z');
  await control.deleteBranch('before');
  await clock.pass(60_000);
  await expect.poll(() => control.branches().length, SOON).toBe(1);
  const told = await control.events({ branch: branch.id, limit: 100 });
  await expect
    .poll(
      async () => (await control.events({ branch: branch.id, limit: 100 })).map((each) => each.event),
      SOON,
    )
    .toEqual([
      'created',
      'woken',
      'checkpoint_created',
      'slept',
      'restored',
      'reset',
      'renamed',
      'woken',
      'crashed',
      'changed',
      'deleted',
    ]);
  expect(told.at(4)?.facts).toMatchObject({ checkpoint: 'clean', preserved: 'before' });
  const ends = (await control.events({ limit: 100 })).filter((each) => each.event === 'deleted');
  expect(ends.map(({ branch, facts }) => [branch, facts?.by])).toEqual([
    ['before', 'user'],
    ['b', 'expiry'],
  ]);
  events.close();
});
