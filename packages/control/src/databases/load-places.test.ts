import type { TokenId } from '@offshoot/pageserver';
import { expect, test } from 'vitest';
import type { Caller } from '../access/caller.js';
import { LoadPlaces } from './load-places.js';

const agent = (token: string): Caller => ({
  scope: 'branch',
  actor: { token: token as TokenId, name: token },
});
const admin: Caller = { scope: 'admin', actor: { token: 'root' as TokenId, name: 'root' } };
const placesOf = (loadsMax: number, loadsPerTokenMax: number) =>
  new LoadPlaces({ loadsMax, loadsPerTokenMax });

test('one token has no more than its share, and others have the rest', () => {
  const places = placesOf(4, 2);
  const [first] = [places.take(agent('greedy')), places.take(agent('greedy'))];
  expect(() => places.take(agent('greedy'))).toThrow(
    expect.objectContaining({
      code: 'loads_exhausted',
      message: expect.stringContaining('loadsPerTokenMax 2'),
    }),
  );
  places.take(agent('modest'));
  first[Symbol.dispose]();
  places.take(agent('greedy'));
  places.take(agent('modest'));
  expect(() => places.take(agent('late'))).toThrow(/loadsMax 4/);
});

test('the share is not for admin, and all places are', () => {
  const places = placesOf(3, 1);
  for (let n = 0; n < 3; n += 1) places.take(admin);
  expect(() => places.take(admin)).toThrow(/loadsMax 3/);
});

test('a place is given back once', () => {
  const places = placesOf(2, 2);
  const [first] = [places.take(agent('a')), places.take(agent('a'))];
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  places.take(agent('a'));
  expect(() => places.take(agent('a'))).toThrow();
});
