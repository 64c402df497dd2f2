import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { TurnClock } from './turn-clock.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function clock() {
  const over: string[] = [];
  const made = new TurnClock({
    now: () => Date.now(),
    budgetsMs: { client: 100, compute: 50 },
    onOver: (turn) => over.push(turn),
  });
  return { made, over };
}

test('what one wastes is not taken from the other', () => {
  const { made, over } = clock();
  vi.advanceTimersByTime(49);
  made.pass('client');
  vi.advanceTimersByTime(99);
  made.pass('compute');
  expect(over).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(over).toEqual(['compute']);
});

test('turns do not give anybody new time', () => {
  const { made, over } = clock();
  for (let turn = 0; turn < 12; turn++) {
    made.pass('client');
    vi.advanceTimersByTime(9);
    made.pass('compute');
  }
  expect(over).toEqual(['client']);
});

test('stopped, nobody is late', () => {
  const { made, over } = clock();
  made.stop();
  made.pass('client');
  vi.advanceTimersByTime(1000);
  expect(over).toEqual([]);
});
