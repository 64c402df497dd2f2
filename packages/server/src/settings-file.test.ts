import { expect, test } from 'vitest';
import { checkTuning, defaultTuning } from './settings-file.js';

test('what is printed as the defaults is taken as settings', () => {
  expect(checkTuning(JSON.parse(JSON.stringify(defaultTuning())))).toEqual(defaultTuning());
});

test.each([
  [[], /JSON object/],
  [{ computes: {} }, /no group called computes; known: .*compute/],
  [{ compute: 1 }, /compute must be a JSON object/],
  [
    { compute: { sharedBuffers: 1 } },
    /no setting in compute called sharedBuffers; known: .*sharedBuffersBytes/,
  ],
  [{ pageService: { connectionsMax: '5' } }, /pageService.connectionsMax must be a whole number/],
  [{ store: { readersMax: -1 } }, /store.readersMax/],
  [{ compute: { parameters: { jit: true } } }, /compute.parameters.jit must be text/],
])('%j is refused', (value, reason) => {
  expect(() => checkTuning(value)).toThrow(reason);
});
