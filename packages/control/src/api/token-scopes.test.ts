import { branchList, computeList, token, tokenList } from '@offshoot/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ApiFixture } from '../testing/api-fixture.js';
import { routes } from './routes/index.js';

let api: ApiFixture;
let agent: string;
let other: string;
let reader: string;

beforeAll(async () => {
  api = await ApiFixture.open(['shop', 'bank']);
  agent = await api.token({ name: 'agent', scope: 'branch', parents: ['shop'] });
  other = await api.token({ name: 'other', scope: 'branch', parents: ['shop', 'bank'] });
  reader = await api.token({ name: 'reader', scope: 'read' });
});

afterAll(async () => {
  expect(api.failures).toEqual([]);
  await api[Symbol.asyncDispose]();
});

const names = async (as: string) =>
  branchList
    .parse((await api.send('GET', '/v1/branches', undefined, { token: as })).json())
    .branches.map(({ name }) => name);

describe('a token of scope branch', () => {
  test('branches its parent, its own branches, and nothing else', async () => {
    const made = await api.create({ name: 'one', from: 'shop' }, { token: agent });
    expect(made.branch.created_by).toMatchObject({ name: 'agent' });
    expect((await api.create({}, { token: agent })).parent).toBe('shop');
    await api.create({ name: 'two', from: 'one' }, { token: agent });
    await api.create({ name: 'secret', from: 'bank' });
    for (const from of ['bank', 'secret', 'nowhere']) {
      expect(await api.refusal('POST', '/v1/branches', { from }, { token: agent })).toBe(
        '404 branch_not_found',
      );
    }
    expect(await api.refusal('POST', '/v1/branches', {}, { token: other })).toBe('400 parent_needed');
  });

  test('works with what comes of its branches, whoever made that', async () => {
    await api.create({ name: 'three', from: 'two' });
    expect(await api.refusal('PATCH', '/v1/branches/three', { idle_timeout: 1 }, { token: agent })).toBe(
      '200',
    );
    expect(await api.refusal('DELETE', '/v1/branches/three', undefined, { token: agent })).toBe('200');
  });

  test('sees nothing of the branches of others', async () => {
    await api.create({ name: 'theirs', from: 'shop' }, { token: other });
    expect(await names(agent)).toEqual(expect.arrayContaining(['one', 'shop', 'two']));
    expect(await names(agent)).not.toContain('theirs');
    expect(await names(agent)).not.toContain('bank');
    for (const [method, path] of [
      ['GET', '/v1/branches/theirs'],
      ['PATCH', '/v1/branches/theirs'],
      ['DELETE', '/v1/branches/secret'],
      ['POST', '/v1/branches/theirs/compute'],
      ['POST', '/v1/branches/theirs/role/password'],
      ['GET', '/v1/branches/bank/connection-string'],
    ] as const) {
      expect(await api.refusal(method, path, undefined, { token: agent })).toBe('404 branch_not_found');
    }
    expect(await api.refusal('PUT', '/v1/branches/theirs', {}, { token: agent })).toBe('409 branch_differs');
    await api.send('POST', '/v1/branches/theirs/compute');
    const { computes } = computeList.parse(
      (await api.send('GET', '/v1/computes', undefined, { token: agent })).json(),
    );
    expect(computes).toEqual([]);
  });

  test('may look at its parent, and neither connect to it nor change it', async () => {
    expect(await api.refusal('GET', '/v1/branches/shop', undefined, { token: agent })).toBe('200');
    for (const [method, path] of [
      ['GET', '/v1/branches/shop/connection-string'],
      ['POST', '/v1/branches/shop/compute'],
      ['DELETE', '/v1/branches/shop/compute'],
      ['POST', '/v1/branches/shop/role'],
      ['PATCH', '/v1/branches/shop'],
      ['DELETE', '/v1/branches/shop'],
    ] as const) {
      expect(await api.refusal(method, path, undefined, { token: agent })).toBe('403 forbidden');
    }
  });

  test('a parent that was made anew under its name is another branch', async () => {
    await api.create({ name: 'masked', from: 'bank' });
    const masked = await api.token({ name: 'masked-only', scope: 'branch', parents: ['masked'] });
    await api.send('DELETE', '/v1/branches/masked');
    await api.create({ name: 'masked', from: 'bank' });
    expect(await api.refusal('POST', '/v1/branches', { from: 'masked' }, { token: masked })).toBe(
      '404 branch_not_found',
    );
  });

  test('takes no protection away', async () => {
    await api.create({ name: 'kept', protected: true }, { token: agent });
    const open = { protected: false };
    expect(await api.refusal('PATCH', '/v1/branches/kept', open, { token: agent })).toBe('403 forbidden');
    expect(await api.refusal('DELETE', '/v1/branches/kept', undefined, { token: agent })).toBe(
      '409 branch_protected',
    );
    expect(await api.refusal('PATCH', '/v1/branches/kept', open)).toBe('200');
  });

  test('goes by the gateway, not by the socket that asks for no password', async () => {
    const { name } = await api.create({ wait: 'compute' }, { token: agent });
    const way = (via: string, token?: string) =>
      api.send('GET', `/v1/branches/${name}/connection-string${via}`, undefined, token ? { token } : {});
    expect((await way('', agent)).json()).toMatchObject({ via: 'gateway' });
    for (const token of [agent, reader]) expect((await way('?via=socket', token)).statusCode).toBe(403);
    expect((await way('?via=socket')).json()).toMatchObject({ via: 'socket' });
    const gateway = api.world.gateway;
    api.world.gateway = undefined;
    expect((await way('', agent)).json()).toMatchObject({ code: 'gateway_off' });
    api.world.gateway = gateway;
  });

  test('makes no superuser', async () => {
    const role = { rights: 'superuser' };
    expect(await api.refusal('POST', '/v1/branches', { role }, { token: agent })).toBe('403 forbidden');
    await api.create({ name: 'bare', role: null }, { token: agent });
    expect(await api.refusal('POST', '/v1/branches/bare/role', role, { token: agent })).toBe('403 forbidden');
    expect(await api.refusal('POST', '/v1/branches/bare/role', {}, { token: agent })).toBe('201');
  });

  test('is not told the password of a superuser that somebody else made', async () => {
    await api.create({ name: 'powerful', role: null }, { token: agent });
    const role = { rights: 'superuser' };
    expect(await api.refusal('POST', '/v1/branches/powerful/role', role)).toBe('201');
    const rotation = ['POST', '/v1/branches/powerful/role/password', {}] as const;
    expect(await api.refusal(...rotation, { token: agent })).toBe('403 forbidden');
    expect(await api.refusal(...rotation)).toBe('200');
  });

  test('is not told where a compute is on the machine', async () => {
    await api.create({ name: 'placed' }, { token: agent });
    const places = ['address', 'log_file', 'socket_directory'];
    const told = (compute: object) =>
      Object.keys(compute)
        .filter((key) => places.includes(key))
        .sort();
    const start = (token?: string) =>
      api.send('POST', '/v1/branches/placed/compute', undefined, token ? { token } : {});
    expect(told((await start()).json())).toEqual(places);
    expect(told((await start(agent)).json())).toEqual([]);
    const list = (await api.send('GET', '/v1/computes', undefined, { token: reader })).json();
    expect(list.computes.flatMap(told)).toEqual([]);
    await api.send('DELETE', '/v1/branches/placed/compute');
  });

  test('branches a branch by its id', async () => {
    const { branch } = await api.create({ name: 'by-id' }, { token: agent });
    const made = await api.create({ from: branch.id }, { token: agent });
    expect(made.parent).toBe('by-id');
  });

  test('with reach parents it works with all that come of them', async () => {
    const wide = await api.token({ name: 'wide', scope: 'branch', parents: ['shop'], reach: 'parents' });
    expect(await names(wide)).toEqual(expect.arrayContaining(['one', 'theirs', 'shop']));
    expect(
      await api.refusal('GET', '/v1/branches/theirs/connection-string', undefined, { token: wide }),
    ).toBe('200');
    expect(await api.refusal('GET', '/v1/branches/shop/connection-string', undefined, { token: wide })).toBe(
      '403 forbidden',
    );
    expect(await api.refusal('GET', '/v1/branches/secret', undefined, { token: wide })).toBe(
      '404 branch_not_found',
    );
  });
});

describe('every route asks for its scope', () => {
  const path = (text: string) => text.replace(/\{(\w+)\}/g, 'x');
  const closedTo = (scope: 'read' | 'branch') =>
    routes.filter(({ scopes }) => scopes !== 'public' && !scopes.includes(scope));

  test.each(closedTo('read').map((route) => [route.method, route.path] as const))(
    '%s %s, of read',
    async (...to) => {
      expect(await api.refusal(to[0], path(to[1]), undefined, { token: reader })).toBe('403 forbidden');
    },
  );

  test.each(closedTo('branch').map((route) => [route.method, route.path] as const))(
    '%s %s, of branch',
    async (...to) => {
      expect(await api.refusal(to[0], path(to[1]), undefined, { token: agent })).toBe('403 forbidden');
    },
  );

  test('a token of scope read reads what it may', async () => {
    for (const url of ['/v1/status', '/metrics', '/v1/tenants', '/v1/branches/bank', '/v1/operations']) {
      expect(await api.refusal('GET', url, undefined, { token: reader })).toBe('200');
    }
  });

  test('tokens are made and seen by admins only', async () => {
    const admin = await api.token({ name: 'admin', scope: 'admin' });
    const request = { name: 'by-admin', scope: 'read' };
    expect(await api.refusal('POST', '/v1/tokens', request, { token: admin })).toBe('201');
    expect(await api.refusal('GET', '/v1/tokens', undefined, { token: admin })).toBe('200');
  });
});

describe('the life of a token', () => {
  test('it says of itself what it is, and when it was used', async () => {
    const self = token.parse((await api.send('GET', '/v1/tokens/self', undefined, { token: agent })).json());
    expect(self).toMatchObject({ name: 'agent', scope: 'branch', parents: ['shop'], reach: 'own' });
    const answer = await api.send('GET', '/v1/tokens');
    const listed = tokenList.parse(answer.json()).tokens;
    expect(listed.find(({ name }) => name === 'agent')?.last_used_at).toBeDefined();
    // Behind the id; it may have an underscore of its own.
    expect(answer.body).not.toContain(agent.split('_').slice(2).join('_'));
  });

  test('a revoked one is refused at once, by id or by name', async () => {
    const secret = await api.token({ name: 'short-lived', scope: 'read' });
    expect(await api.refusal('GET', '/v1/status', undefined, { token: secret })).toBe('200');
    expect(await api.refusal('DELETE', '/v1/tokens/short-lived')).toBe('200');
    expect(await api.refusal('GET', '/v1/status', undefined, { token: secret })).toBe('401 unauthorized');
    expect(await api.refusal('DELETE', '/v1/tokens/short-lived')).toBe('404 token_not_found');
  });

  test('the right id with another secret is nobody', async () => {
    const [word, id] = agent.split('_');
    const forged = `${word}_${id}_${'A'.repeat(43)}`;
    expect(await api.refusal('GET', '/v1/branches', undefined, { token: forged })).toBe('401 unauthorized');
  });

  test.each([
    [{ name: 'x', scope: 'branch' }, '400 invalid_argument'],
    [{ name: 'x', scope: 'read', parents: ['shop'] }, '400 invalid_argument'],
    [{ name: 'x', scope: 'branch', parents: ['nowhere'] }, '404 branch_not_found'],
    [{ name: 'x', scope: 'everything' }, '400 invalid_argument'],
    [{ name: 'x', scope: 'read', expires_in: 60 }, '400 invalid_argument'],
    [{ name: 'self', scope: 'read' }, '400 invalid_argument'],
    [{ name: 'agent', scope: 'read' }, '409 token_exists'],
  ])('%j is refused', async (request, refused) => {
    expect(await api.refusal('POST', '/v1/tokens', request)).toBe(refused);
  });
});
