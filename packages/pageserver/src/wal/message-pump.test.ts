import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { MessagePump } from './message-pump.js';

/** A taker whose batches are let through one by one. */
function gated(bytesMax: number) {
  const batches: string[] = [];
  const held: string[] = [];
  const failures: unknown[] = [];
  let open: (error?: Error) => void = () => {};
  const pump = new MessagePump(
    bytesMax,
    (messages) =>
      new Promise<void>((resolve, reject) => {
        batches.push(messages.join(' '));
        open = (error) => (error === undefined ? resolve() : reject(error));
      }),
    { pause: () => held.push('pause'), resume: () => held.push('resume') },
    (error) => failures.push(error),
  );
  const pass = async (error?: Error) => {
    open(error);
    await setImmediate();
  };
  return { pump, batches, held, failures, pass };
}

test('takes one batch at a time, in order, and what came meanwhile as the next', async () => {
  const { pump, batches, pass } = gated(1000);
  for (const text of ['a', 'b']) pump.push(Buffer.from(text));
  await setImmediate();
  for (const text of ['c', 'd', 'e']) pump.push(Buffer.from(text));
  await setImmediate();
  expect(batches).toEqual(['a b']);
  await pass();
  expect(batches).toEqual(['a b', 'c d e']);
  await pass();
  pump.push(Buffer.from('f'));
  await setImmediate();
  expect(batches).toEqual(['a b', 'c d e', 'f']);
});

test('holds the source back past its limit, and lets it go', async () => {
  const { pump, held, pass } = gated(10);
  pump.push(Buffer.alloc(6));
  await setImmediate();
  expect(pump.paused).toBe(false);
  pump.push(Buffer.alloc(6));
  pump.push(Buffer.alloc(6));
  expect(held).toEqual(['pause']);
  // Twelve bytes are still in flight.
  await pass();
  expect(held).toEqual(['pause']);
  await pass();
  expect(held).toEqual(['pause', 'resume']);
  expect(pump.paused).toBe(false);
});

test('ends with the first failure', async () => {
  const { pump, batches, failures, pass } = gated(10);
  pump.push(Buffer.from('a'));
  await setImmediate();
  pump.push(Buffer.from('b'));
  await pass(new Error('the disk is full'));
  pump.push(Buffer.from('c'));
  await setImmediate();
  expect(batches).toEqual(['a']);
  expect(failures).toEqual([new Error('the disk is full')]);
});

test('stops when the batch under way is taken', async () => {
  const { pump, batches, pass } = gated(10);
  pump.push(Buffer.from('a'));
  await setImmediate();
  pump.push(Buffer.from('b'));
  let stopped = false;
  const stopping = pump.stop().then(() => {
    stopped = true;
  });
  await setImmediate();
  expect(stopped).toBe(false);
  await pass();
  await stopping;
  expect(batches).toEqual(['a']);
});
