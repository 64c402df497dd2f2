import type { OpenBranch } from '@offshoot/gateway';
import type { Lsn } from '@offshoot/types';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ControlFixture } from '../testing/control-fixture.js';
import { FakeClock, settled } from '../testing/fake-clock.js';

let fixture: ControlFixture;
let clock: FakeClock;
/** How far production has come. */
let newest = 0x300_0000n as Lsn;

beforeEach(async () => {
  clock = new FakeClock();
  newest = 0x300_0000n as Lsn;
  fixture = await ControlFixture.open(['shop'], { clock, wake: { renewAfterSeconds: 10 } });
  vi.spyOn(fixture.pageServer, 'lastRecordLsnOf').mockImplementation(() => newest);
});

afterEach(async () => {
  await fixture.control.close();
  expect([fixture.driver.running.size, clock.pending]).toEqual([0, 0]);
  await fixture[Symbol.asyncDispose]();
});

const open = () => fixture.control.open('shop', { signal: new AbortController().signal });
const portOf = ({ address }: OpenBranch) => ('port' in address ? address.port - 10_000 : 0);

describe('a compute on production’s own history', () => {
  test('that nobody is connected to gives way to one at a newer LSN, for the next connection', async () => {
    (await open()).release();
    await clock.pass(10_000);
    const second = await open();
    expect(portOf(second)).toBe(2);
    // In use it stays, however old it is.
    await clock.pass(60_000);
    const third = await open();
    expect(portOf(third)).toBe(2);
    second.release();
    third.release();
    expect(portOf(await open())).toBe(3);
    expect(fixture.control.branch('shop').activity.wakes).toBe(3);
  });

  test.each<[string, number, () => void]>([
    ['is young', 9_000, () => {}],
    ['shows the newest already', 60_000, () => (newest = 0x200_0138n as Lsn)],
  ])('that %s stays', async (_why, age, arrange) => {
    (await open()).release();
    arrange();
    await clock.pass(age);
    expect(portOf(await open())).toBe(1);
  });

  test('on which work is found stays, and all who came get it', async () => {
    (await open()).release();
    await clock.pass(10_000);
    fixture.driver.activity = async () => ({ sessions: 1 });
    const both = await Promise.all([open(), open()]);
    expect(both.map(portOf)).toEqual([1, 1]);
    expect(fixture.control.branch('shop').activity.connections).toBe(2);
  });

  test('is replaced once, however many come at that time', async () => {
    (await open()).release();
    await clock.pass(10_000);
    const many = await Promise.all(Array.from({ length: 10 }, open));
    expect(new Set(many.map(portOf))).toEqual(new Set([2]));
    await settled();
    expect(fixture.control.branch('shop').activity.connections).toBe(10);
  });
});
