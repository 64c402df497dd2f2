import { expect, test } from 'vitest';
import { OperationBook } from './operations.js';
import { toProblem } from './problem.js';

const book = (endedMax = 10) => new OperationBook({ endedMax }, toProblem);

test('an operation goes from running to done and shows its progress', async () => {
  const operations = book();
  let finish = () => {};
  const started = operations.start('tenant_import', 'shop', async ({ progress }) => {
    progress({ phase: 'base_backup', bytes_done: 5, pages: 1 });
    await new Promise<void>((resolve) => {
      finish = resolve;
    });
  });
  expect(operations.get(started.id)).toMatchObject({ state: 'running', progress: { bytes_done: 5 } });
  finish();
  await operations.cancel(started.id);
  expect(operations.get(started.id)?.state).toBe('done');
});

test('a failure is kept as a problem', async () => {
  const operations = book();
  const { id } = operations.start('tenant_import', 'shop', () => Promise.reject(new Error('no such host')));
  await new Promise(setImmediate);
  expect(operations.get(id)).toMatchObject({ state: 'failed', error: { detail: 'no such host' } });
});

test('cancelling waits until the work has ended', async () => {
  const operations = book();
  let cleaned = false;
  const { id } = operations.start('tenant_import', 'shop', async ({ signal }) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    cleaned = true;
    throw new Error('cancelled');
  });
  expect(await operations.cancel(id)).toMatchObject({ state: 'cancelled' });
  expect(cleaned).toBe(true);
});

test('of the ended ones only the newest are kept', async () => {
  const operations = book(2);
  for (const subject of ['a', 'b', 'c', 'd']) operations.start('tenant_import', subject, async () => {});
  await new Promise(setImmediate);
  expect(operations.list().map(({ subject }) => subject)).toEqual(['c', 'd']);
});
