import { expect, test } from 'vitest';
import { AnswersByKey } from './answers-by-key.js';

test('what was done under a key is done once, also while it is under way; not what failed', async () => {
  let now = 0;
  const answers = new AnswersByKey(100, () => now);
  let done = 0;
  const work = async () => {
    done += 1;
    return done;
  };
  expect(await Promise.all([answers.once('a', 'h', work), answers.once('a', 'h', work)])).toEqual([1, 1]);
  await expect(answers.once('a', 'other', work)).rejects.toMatchObject({ code: 'idempotency_key_reused' });
  await expect(answers.once('b', 'h', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await answers.once('b', 'h', work)).toBe(2);
  now = 100;
  expect(await answers.once('a', 'other', work)).toBe(3);
});
