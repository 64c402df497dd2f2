import type { Lsn } from '@offshoot/types';
import { expect, test } from 'vitest';
import { TimelineWindow } from './timeline-window.js';

const lsn = (number: number) => BigInt(number) as Lsn;

test('an LSN is kept from the moment somebody takes hold of it, or refused', () => {
  const window = new TimelineWindow(lsn(100));
  expect(window.pin(lsn(99))).toBeUndefined();
  const [first, second] = [window.pin(lsn(120)), window.pin(lsn(120))];
  window.narrow(lsn(200), new Set(window.pinned()));
  expect([119, 120, 121, 200].map((each) => window.covers(lsn(each)))).toEqual([false, true, false, true]);
  expect(window.pin(lsn(150))).toBeUndefined();
  first?.[Symbol.dispose]();
  first?.[Symbol.dispose]();
  expect([...window.pinned()]).toEqual([lsn(120)]);
  second?.[Symbol.dispose]();
  expect([...window.pinned()]).toEqual([]);
  // Not given up yet: whoever comes in time may have it.
  const third = window.pin(lsn(120));
  expect(third).toBeDefined();
  third?.[Symbol.dispose]();
  window.narrow(lsn(200), new Set());
  expect(window.pin(lsn(120))).toBeUndefined();
});
