import { expect, test } from 'vitest';
import { defaultDataDirectory } from './default-data-directory.js';

test.each([
  [{ OFFSHOOT_DATA: '/d' }, 0, '/d'],
  [{ OFFSHOOT_DATA: '' }, 1000, '/home/u/.offshoot'],
  [{}, 1000, '/home/u/.offshoot'],
  [{}, undefined, '/home/u/.offshoot'],
  [{}, 0, '/var/lib/offshoot'],
])('environment %j, uid %s: %s', (env, uid, expected) => {
  expect(defaultDataDirectory({ env, uid, home: '/home/u' })).toBe(expected);
});
