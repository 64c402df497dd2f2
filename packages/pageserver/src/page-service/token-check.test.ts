import { expect, test } from 'vitest';
import { OTHER_TENANT, TENANT } from './testing/fake-page-source.js';
import { checkToken, type GrantedToken, mayUse } from './token-check.js';

const granted: GrantedToken[] = [
  { token: 'operator', scope: 'all-tenants' },
  { token: 'agent', scope: { tenant: TENANT } },
  { token: '', scope: 'all-tenants' },
];

test.each([
  ['operator', 'all-tenants'],
  ['agent', { tenant: TENANT }],
  ['agen', undefined],
  ['agent2', undefined],
  ['AGENT', undefined],
  ['', undefined],
])('%j has its scope', async (token, scope) => {
  expect(await checkToken(token, () => granted)).toEqual(scope);
  expect(await checkToken(token, () => [])).toBeUndefined();
});

test('a scope is for its tenants', () => {
  expect(mayUse('all-tenants', TENANT)).toBe(true);
  expect(mayUse({ tenant: TENANT }, TENANT)).toBe(true);
  expect(mayUse({ tenant: TENANT }, OTHER_TENANT)).toBe(false);
});
