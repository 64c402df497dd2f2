import { expect, test } from 'vitest';
import { CancelKeys } from './cancel-keys.js';

const key = { address: { path: '/a' }, processId: 7, secret: Buffer.from('real') };

test('our key finds the compute’s, as long as the connection lives', () => {
  const keys = new CancelKeys(() => Buffer.from('ours'));
  const { secret, remove } = keys.add(key);
  expect(secret.toString()).toBe('ours');
  expect(keys.find(7, secret)).toEqual(key);
  expect(keys.find(8, secret)).toBeUndefined();
  expect(keys.find(7, key.secret)).toBeUndefined();
  remove();
  expect(keys.find(7, secret)).toBeUndefined();
  expect(keys.size).toBe(0);
});

test('no two connections have one key', () => {
  const draws = ['aaaa', 'aaaa', 'bbbb'];
  const keys = new CancelKeys(() => Buffer.from(draws.shift() ?? ''));
  expect(keys.add(key).secret.toString()).toBe('aaaa');
  expect(keys.add({ ...key, address: { path: '/b' } }).secret.toString()).toBe('bbbb');
  expect(keys.find(7, Buffer.from('bbbb'))?.address).toEqual({ path: '/b' });
});

test('a secret is as long as the compute’s', () => {
  const lengths: number[] = [];
  const keys = new CancelKeys((count) => {
    lengths.push(count);
    return Buffer.alloc(count);
  });
  keys.add({ ...key, secret: Buffer.alloc(32) });
  expect(lengths).toEqual([32]);
});
