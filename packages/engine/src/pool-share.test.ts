import { expect, test } from 'vitest';
import { PoolShare, poolThreads } from './pool-share.js';

test('so many calls run at a time, in the order in which they came, whether they fail or not', async () => {
  const share = new PoolShare(2);
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const calls = [0, 1, 2, 3, 4].map((n) =>
    share.run(async () => {
      begun.push(n);
      await new Promise<void>((resolve) => ends.push(resolve));
      if (n === 0) throw new Error('no');
      return n;
    }),
  );
  const outcomes = Promise.allSettled(calls);
  for (const expected of [
    [0, 1],
    [0, 1, 2],
    [0, 1, 2, 3],
    [0, 1, 2, 3, 4],
  ]) {
    await new Promise(setImmediate);
    expect(begun).toEqual(expected);
    ends.shift()?.();
  }
  for (const end of ends) end();
  const values = (await outcomes).map((each) => (each.status === 'fulfilled' ? each.value : 'failed'));
  expect(values).toEqual(['failed', 1, 2, 3, 4]);
  // All turns are free again.
  expect(await Promise.all([share.run(async () => 'a'), share.run(async () => 'b')])).toEqual(['a', 'b']);
});

test.each([
  [undefined, 4],
  ['16', 16],
  ['0', 4],
  ['many', 4],
])('with UV_THREADPOOL_SIZE %s the pool has %i threads', (size, threads) => {
  expect(poolThreads(size === undefined ? {} : { UV_THREADPOOL_SIZE: size })).toBe(threads);
});
