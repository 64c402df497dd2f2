import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { OneAtATime } from './one-at-a-time.js';

test('work on one key runs in order and apart; other keys do not wait', async () => {
  const queue = new OneAtATime();
  const seen: string[] = [];
  const work = (name: string, ms: number) => async () => {
    seen.push(`${name} begins`);
    await sleep(ms);
    seen.push(`${name} ends`);
  };
  const slow = queue.run('a', work('first', 30));
  const next = queue.run('a', work('second', 1));
  await queue.run('b', work('other', 1));
  await Promise.all([slow, next]);
  expect(seen).toEqual([
    'first begins',
    'other begins',
    'other ends',
    'first ends',
    'second begins',
    'second ends',
  ]);
});

test('a failure reaches its caller and leaves the way free', async () => {
  const queue = new OneAtATime();
  const failing = queue.run('a', () => Promise.reject(new Error('broken')));
  const after = queue.run('a', async () => 'served');
  await expect(failing).rejects.toThrow('broken');
  await expect(after).resolves.toBe('served');
});
