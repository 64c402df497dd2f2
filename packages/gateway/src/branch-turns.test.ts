import { expect, test } from 'vitest';
import { BranchTurns } from './branch-turns.js';

const { signal } = new AbortController();

test('two of a branch at a time, the others in order, and no branch waits for another', async () => {
  const turns = new BranchTurns(2);
  const order: number[] = [];
  const [first] = [await turns.take('a', signal), await turns.take('a', signal)];
  const takeAs = async (n: number) => {
    const leave = await turns.take('a', signal);
    order.push(n);
    return leave;
  };
  const [third, fourth] = [takeAs(3), takeAs(4)];
  (await turns.take('b', signal))();
  expect(order).toEqual([]);
  first();
  first();
  (await third)();
  await fourth;
  expect(order).toEqual([3, 4]);
});

test('whoever gives up leaves the turn to the next, and nothing is kept of a branch without turns', async () => {
  const turns = new BranchTurns(1);
  const leave = await turns.take('a', signal);
  const givingUp = new AbortController();
  const gone = turns.take('a', givingUp.signal);
  const next = turns.take('a', signal);
  givingUp.abort(new Error('left'));
  await expect(gone).rejects.toThrow('left');
  await expect(turns.take('a', givingUp.signal)).rejects.toThrow('left');
  leave();
  (await next)();
  expect(turns.branches).toBe(0);
});
