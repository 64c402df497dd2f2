import type { Lsn } from '@offshoot/types';
import { expect, test } from 'vitest';
import { LsnProgress } from './lsn-progress.js';

const lsn = (value: number) => BigInt(value) as Lsn;
const never = new AbortController().signal;

test('waiters go on when their LSN is reached, not before', async () => {
  const progress = new LsnProgress(lsn(10));
  const done: number[] = [];
  const waits = [10, 20, 30].map((value) => progress.waitFor(lsn(value), never).then(() => done.push(value)));
  await waits[0];
  progress.advance(lsn(19));
  progress.advance(lsn(5));
  await Promise.resolve();
  expect([progress.reached, done]).toEqual([19n, [10]]);
  progress.advance(lsn(20));
  await waits[1];
  expect(done).toEqual([10, 20]);
  progress.advance(lsn(100));
  await Promise.all(waits);
});

test('a wait ends by its signal', async () => {
  const progress = new LsnProgress(lsn(10));
  const abort = new AbortController();
  const reason = new Error('enough');
  const wait = progress.waitFor(lsn(20), abort.signal);
  abort.abort(reason);
  await expect(wait).rejects.toBe(reason);
  await expect(progress.waitFor(lsn(20), abort.signal)).rejects.toBe(reason);
  progress.advance(lsn(20));
  await progress.waitFor(lsn(20), abort.signal);
});
