import type { TenantId } from '@offshoot/types';
import { expect, test } from 'vitest';
import { TenantTurns } from './tenant-turns.js';

const [A, B] = ['a', 'b'] as unknown as [TenantId, TenantId];

/** Work that ends when it is told to, or is cut short. */
function work() {
  const running: { tenant: TenantId; end: (failure?: Error) => void }[] = [];
  const turns = new TenantTurns(
    (tenant, signal) =>
      new Promise((resolve, reject) => {
        const end = (failure?: Error) => (failure === undefined ? resolve() : reject(failure));
        signal.addEventListener('abort', () => reject(signal.reason));
        running.push({ tenant, end });
      }),
  );
  return { turns, running };
}

test('on each tenant one at a time, and all who come meanwhile wait for the same next one', async () => {
  const { turns, running } = work();
  const first = turns.run(A);
  const [second, third] = [turns.run(A), turns.run(A)];
  const other = turns.run(B);
  expect(running.map(({ tenant }) => tenant)).toEqual([A, B]);
  running[0]?.end(new Error('broken'));
  await expect(first).rejects.toThrow('broken');
  expect(second).toBe(third);
  await expect.poll(() => running.length).toBe(3);
  running[2]?.end();
  running[1]?.end();
  await Promise.all([second, third, other]);
  const later = turns.run(A);
  expect(running).toHaveLength(4);
  running[3]?.end();
  await later;
});

test('a tenant that is left has nothing done to it any more', async () => {
  const { turns, running } = work();
  const [first, second] = [turns.run(A), turns.run(A)];
  const other = turns.run(B);
  await turns.leave(A);
  await Promise.all([first, second]);
  await turns.run(A);
  expect(running).toHaveLength(2);
  await turns.close();
  await other;
  await turns.run(B);
  expect(running).toHaveLength(2);
});
