import type { Lsn } from '@offshoot/types';
import { expect, test } from 'vitest';
import type { OpenTenant } from '../open-tenant.js';
import type { OpenTimeline } from '../open-timeline.js';
import { Pace } from './pace.js';
import { TimelineMeasures } from './timeline-measures.js';

const MINUTE_MS = 60_000;

/** A timeline of which a measure finds what is given here. */
function world() {
  const state = { nowMs: 0, bytes: 0, lsn: 1n, looks: 0 };
  const open = { index: 1, lastRecordLsn: () => state.lsn as Lsn } as OpenTimeline;
  const tenant = {
    measure: async (_: number, cursor: Uint8Array | undefined) => {
      state.looks += 1;
      const next = cursor === undefined ? new Uint8Array(1) : undefined;
      return { entries: 1, bytes: state.bytes / 2, pages: 2, next };
    },
  } as unknown as OpenTenant;
  const measures = new TimelineMeasures(10, () => state.nowMs);
  const pace = new Pace(100, new AbortController().signal);
  const measure = (nowMs: number, bytes: number) => {
    Object.assign(state, { nowMs, bytes });
    return measures.measure(tenant, open, pace);
  };
  return { state, open, measures, measure };
}

test('all parts are added up, and calls at one time share one look', async () => {
  const { state, open, measures, measure } = world();
  expect(measures.of(open)).toBeUndefined();
  await Promise.all([measure(5, 600), measure(5, 600)]);
  expect(measures.of(open)).toMatchObject({ entries: 2, bytes: 600, pages: 4, at: new Date(5) });
  expect(state.looks).toBe(2);
  expect(measures.isCurrent(open)).toBe(true);
  state.lsn += 1n;
  expect(measures.isCurrent(open)).toBe(false);
});

test('growth is that of the last hour, from the beginning where that is known', async () => {
  const { state, open, measures, measure } = world();
  measures.begin(open);
  await measure(MINUTE_MS / 2, 100);
  expect(measures.growthOf(open)).toBeUndefined();
  await measure(MINUTE_MS, 600);
  expect(measures.growthOf(open)).toEqual({ bytesPerHour: 36_000, since: new Date(0) });
  await measure(30 * MINUTE_MS, 600);
  expect(measures.growthOf(open)).toEqual({ bytesPerHour: 1200, since: new Date(0) });
  await measure(70 * MINUTE_MS, 400);
  expect(measures.growthOf(open)).toEqual({ bytesPerHour: -300, since: new Date(30 * MINUTE_MS) });
  // Nothing is written: looking is not needed to know that.
  state.nowMs = 100 * MINUTE_MS;
  measures.confirm(open);
  expect(measures.growthOf(open)).toEqual({ bytesPerHour: 0, since: new Date(70 * MINUTE_MS) });
  expect(measures.of(open)).toMatchObject({ bytes: 400, at: new Date(100 * MINUTE_MS) });
});

test('what many look at does not forget what was an hour ago', async () => {
  const { open, measures, measure } = world();
  for (let second = 0; second <= 1800; second += 1) await measure(second * 1000, second);
  expect(measures.growthOf(open)).toEqual({ bytesPerHour: 3600, since: new Date(0) });
});
