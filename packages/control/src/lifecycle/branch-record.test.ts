import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Branch } from '@offshoot/client';
import { parseBranchName } from '@offshoot/types';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EventLog } from '../events/event-log.js';
import { ControlFixture } from '../testing/control-fixture.js';
import { FakeClock } from '../testing/fake-clock.js';
import { livingRecord, useView } from './branch-record.js';

const HOUR_MS = 3_600_000;
const START = Date.parse('2026-01-01T00:00:00Z');

describe('a branch', () => {
  const branch = (activity: object, parent: string | undefined = 'shop') =>
    ({ parent, created_at: '2026-01-01T00:00:00Z', activity: { connections: 0, ...activity } }) as Branch;
  const at = (hour: number) => new Date(START + hour * HOUR_MS).toISOString();

  test.each([
    ['that was just made', {}, 0, { never_used: true, abandoned: false }],
    ['that nobody has come to for a day', {}, 24, { never_used: true, abandoned: true }],
    [
      'with a query',
      { first_query_at: at(1), last_query_at: at(2) },
      25,
      { never_used: false, abandoned: false },
    ],
    [
      'without one since',
      { first_query_at: at(1), last_query_at: at(2) },
      26,
      { never_used: false, abandoned: true },
    ],
    [
      'with a connection',
      { connections: 1, first_connection_at: at(1), last_connection_at: at(1) },
      100,
      { never_used: false, abandoned: false },
    ],
    [
      'whose connection has ended',
      { first_connection_at: at(1), last_connection_at: at(99) },
      100,
      { never_used: false, abandoned: false },
    ],
  ])('%s', (_, activity, hours, expected) => {
    expect(useView(branch(activity), START + hours * HOUR_MS, 86_400)).toEqual(expected);
  });

  test('that is production’s own is neither', () => {
    const first = { ...branch({}), parent: undefined };
    expect(useView(first, START + 1e12, 1)).toEqual({ never_used: false, abandoned: false });
  });
});

describe('a record', () => {
  let clock: FakeClock;
  let fixture: ControlFixture;
  let dir: string;
  let events: EventLog;

  beforeEach(async () => {
    clock = new FakeClock();
    dir = mkdtempSync(join(tmpdir(), 'offshoot-record-'));
    events = EventLog.open(dir);
    fixture = await ControlFixture.open(['shop'], { clock, events });
  });

  afterEach(async () => {
    await fixture[Symbol.asyncDispose]();
    events.close();
    rmSync(dir, { recursive: true });
  });

  test('has what clients did, as the compute noted it, also when that is gone', async () => {
    const { control, driver, pageServer } = fixture;
    const { branch } = await control.createBranch({ name: 'a' });
    await control.startCompute('a');
    const [first, newest] = [new Date(START + 5000), new Date(START + 9000)];
    driver.statements.set(branch.timeline, { first, newest });
    const times = { first_query_at: first.toISOString(), last_query_at: newest.toISOString() };
    expect(livingRecord(control.branch('a'))).toMatchObject({ ...times, never_used: false, wakes: 1 });
    await control.stopCompute('a');
    driver.statements.set(branch.timeline, { first: undefined, newest: undefined });
    expect(control.branch('a').activity).toMatchObject(times);
    await expect
      .poll(() => pageServer.catalog.findBranchNamed(parseBranchName('a'))?.use, { timeout: 20_000 })
      .toMatchObject({
        firstQueryAt: times.first_query_at,
        lastQueryAt: times.last_query_at,
      });
    // Another compute: what is first stays, what is newest moves on.
    await control.startCompute('a');
    const later = new Date(START + 20_000);
    driver.statements.set(branch.timeline, { first: later, newest: later });
    await control.deleteBranch('a', { by: { token: 'daemon', name: 'daemon' } });
    for (const name of ['a', branch.id]) {
      expect(await control.branchRecord(name)).toMatchObject({
        id: branch.id,
        name: 'a',
        state: 'deleted',
        created_at: branch.created_at,
        destroyed_by: 'user',
        destroyed_by_token: { token: 'daemon', name: 'daemon' },
        wakes: 2,
        first_query_at: times.first_query_at,
        last_query_at: later.toISOString(),
      });
    }
  });

  test('is that of the branch that has the name, or had it last', async () => {
    const { control } = fixture;
    const { branch: first } = await control.createBranch({ name: 'a', ttl_seconds: 60 });
    await clock.pass(60_000);
    await expect.poll(() => control.branches(), { timeout: 20_000 }).toHaveLength(1);
    expect(await control.branchRecord('a')).toMatchObject({
      id: first.id,
      destroyed_by: 'expiry',
      never_used: true,
      expires_at: first.expires_at,
    });
    const { branch: second } = await control.createBranch({ name: 'a' });
    expect(await control.branchRecord('a')).toMatchObject({ id: second.id, state: 'active' });
    await control.deleteTenant('shop');
    expect(await control.branchRecord('a')).toMatchObject({ id: second.id, destroyed_by: 'tenant' });
    await expect(control.branchRecord('b')).rejects.toMatchObject({ code: 'branch_not_found' });
  });
});
