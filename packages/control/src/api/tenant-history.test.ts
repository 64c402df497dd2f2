import { operation, tenant } from '@offshoot/client';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { ApiFixture } from '../testing/api-fixture.js';

const shop = '/v1/tenants/shop';
let api: ApiFixture;

beforeAll(async () => {
  api = await ApiFixture.open(['shop']);
});

afterAll(() => api[Symbol.asyncDispose]());

async function changed(body: object) {
  return tenant.parse((await api.send('PATCH', shop, body)).json()).history;
}

test('what history is kept is changed one by one, and goes back to the setting', async () => {
  const setting = tenant.parse((await api.send('GET', shop)).json()).history;
  expect(await changed({ history_seconds: 60 })).toEqual({ ...setting, seconds: 60 });
  expect(await changed({ history_wal_bytes_max: 1024 })).toEqual({ seconds: 60, wal_bytes_max: 1024 });
  expect(await changed({ history_seconds: null })).toEqual({ ...setting, wal_bytes_max: 1024 });
  // A field that is overlooked would keep less, or more, than was meant.
  for (const body of [{}, { history_seconds: -1 }, { history_seconds: 1, history_hours: 1 }]) {
    expect(await api.refusal('PATCH', shop, body)).toBe('400 invalid_argument');
  }
  expect(await api.refusal('PATCH', '/v1/tenants/none', { history_seconds: 1 })).toBe('404 tenant_not_found');
  expect(await changed({ history_wal_bytes_max: null })).toEqual(setting);
});

test('a round that is asked for is an operation, and is told of', async () => {
  const answer = await api.send('POST', `${shop}/gc`);
  expect(answer.statusCode).toBe(202);
  const { id, kind } = operation.parse(answer.json());
  expect(kind).toBe('gc');
  await vi.waitFor(async () => {
    const round = operation.parse((await api.send('GET', `/v1/operations/${id}`)).json());
    expect([round.state, round.error]).toEqual(['done', undefined]);
  }, 20_000);
  expect(tenant.parse((await api.send('GET', shop)).json()).garbage.rounds).toBe(1);
  expect(await api.refusal('POST', '/v1/tenants/none/gc')).toBe('404 tenant_not_found');
});
