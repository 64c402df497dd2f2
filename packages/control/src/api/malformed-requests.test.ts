import { problem } from '@offshoot/client';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { ApiFixture, daemonToken } from '../testing/api-fixture.js';
import { routes } from './routes/index.js';

let api: ApiFixture;
let url: string;
let expired: string;

beforeAll(async () => {
  api = await ApiFixture.open(['shop'], { access: { bodyBytesMax: 4096 } });
  url = await api.listen();
  expired = await api.token({ name: 'brief', scope: 'admin', ttl_seconds: 1 });
  const authorization = `Bearer ${expired}`;
  const over = async () => expect(await refusalOf('GET', '/v1/status', { authorization })).not.toBe('200');
  await vi.waitFor(over, { timeout: 10_000 });
});

afterAll(async () => {
  expect(api.failures).toEqual([]);
  await api[Symbol.asyncDispose]();
});

/** By HTTP; `200` and so on when it is none. */
async function refusalOf(
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: string | Buffer,
): Promise<string> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${daemonToken}`, ...headers },
    ...(body === undefined ? {} : { body }),
  });
  if (response.ok) return String(response.status);
  expect(response.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
  const { status, code, retryable, agent_action, detail } = problem.parse(await response.json());
  expect({ status, retryable }).toEqual({ status: response.status, retryable: false });
  expect(agent_action.length).toBeGreaterThan(10);
  expect(detail.length).toBeGreaterThan(5);
  return `${status} ${code}`;
}

const filled = (path: string, name: string) => path.replace(/\{\w+\}/g, name);
const named = (each: (typeof routes)[number]) => [each.method, each.path] as const;
const withToken = routes.filter(({ scopes }) => scopes !== 'public').map(named);
const withBody = routes.filter(({ bodySchema }) => bodySchema !== undefined).map(named);
const withName = routes.filter(({ path }) => path.includes('{name}')).map(named);
const json = { 'content-type': 'application/json' };

describe('every route wants a token that holds', () => {
  test.each(withToken)('%s %s', async (method, path) => {
    const to = filled(path, 'shop');
    expect(await refusalOf(method, to, { authorization: `Bearer ${expired}` })).toBe('401 token_expired');
    expect(await refusalOf(method, to, { authorization: 'Bearer none' })).toBe('401 unauthorized');
    expect(await refusalOf(method, to, { authorization: '' })).toBe('401 unauthorized');
  });
});

describe('every route with a body wants one that is well formed', () => {
  const wrong = {
    'half of an object': '{"name": "x"',
    'two values': '{} {}',
    'no JSON': 'name=x',
    'a list': '[]',
    'a string': '"x"',
    'a number': '1',
    null: 'null',
    'a number that there is not': '{"name": NaN}',
    'brackets without end': '['.repeat(4000),
    'a byte that is no UTF-8': Buffer.from([0x7b, 0xff, 0x7d]),
  };

  test.each(withBody)('%s %s', async (method, path) => {
    const to = filled(path, 'shop');
    for (const [what, body] of Object.entries(wrong)) {
      expect([what, await refusalOf(method, to, json, body)]).toEqual([what, '400 invalid_argument']);
    }
    const long = JSON.stringify({ name: 'x'.repeat(5000) });
    expect(await refusalOf(method, to, json, long)).toBe('413 request_too_large');
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'application/xml',
      'multipart/form-data',
    ]) {
      expect(await refusalOf(method, to, { 'content-type': type }, '{}')).toBe('415 media_type_unsupported');
    }
  });
});

describe('every route with a name in its path wants one that there can be, and is', () => {
  const absent = (path: string) =>
    path.startsWith('/v1/tenants/') ? 'tenant_not_found' : 'branch_not_found';
  /** What each wants of its body, so that the name is what is wrong. */
  const bodies: Readonly<Record<string, object>> = {
    '/v1/branches/{name}/rename': { name: 'other' },
    '/v1/branches/{name}/restore': { at: 'latest' },
    '/v1/branches/{name}/checkpoints': { name: 'one' },
    '/v1/tenants/{name}': { history_seconds: 60 },
  };
  const bodyOf = (method: string, path: string) => {
    if (method === 'PATCH' && path === '/v1/branches/{name}') return '{"idle_timeout": 1}';
    return method === 'GET' ? undefined : JSON.stringify(bodies[path] ?? {});
  };

  test.each(withName)('%s %s', async (method, path) => {
    const body = bodyOf(method, path);
    for (const name of ['A', 'a%20b', '-x', 'a%2Fb', '%00', 'x'.repeat(64), '%C3%A9']) {
      const refused = await refusalOf(
        method,
        path.replace('{name}', name).replace('{checkpoint}', 'one'),
        json,
        body,
      );
      expect([name, refused]).toEqual([name, '400 invalid_argument']);
    }
    // The one call that makes what is not there.
    if (method === 'PUT') return;
    expect(await refusalOf(method, filled(path, 'nowhere'), json, body)).toBe(`404 ${absent(path)}`);
  });
});

describe('every place where a branch names another', () => {
  const branches = '/v1/branches';
  const send = (method: string, path: string, body: object) =>
    refusalOf(method, path, json, JSON.stringify(body));

  test.each([
    ['POST', branches, { name: 'child', from: 'nowhere' }],
    ['PUT', `${branches}/child`, { from: 'nowhere' }],
    ['POST', '/v1/tokens', { name: 'x', scope: 'branch', parents: ['nowhere'] }],
    ['GET', `${branches}/nowhere`, undefined],
  ])('%s %s with %j: a parent that is not there', async (method, path, body) => {
    const refused = body === undefined ? refusalOf(method, path) : send(method, path, body);
    expect(await refused).toBe('404 branch_not_found');
    expect(await refusalOf('GET', `${branches}/child`)).toBe('404 branch_not_found');
  });

  test('none can be its own ancestor', async () => {
    expect(await send('POST', branches, { name: 'self', from: 'self' })).toBe('404 branch_not_found');
    expect(await send('PUT', `${branches}/self`, { from: 'self' })).toBe('404 branch_not_found');
    await api.create({ name: 'parent', from: 'shop' });
    await api.create({ name: 'grandchild', from: 'parent' });
    expect(await send('PUT', `${branches}/parent`, { from: 'parent' })).toBe('409 branch_differs');
    expect(await send('PUT', `${branches}/parent`, { from: 'grandchild' })).toBe('409 branch_differs');
    expect(await send('POST', branches, { name: 'parent', from: 'grandchild' })).toBe('409 name_taken');
    expect(await send('POST', `${branches}/grandchild/rename`, { name: 'parent' })).toBe('409 name_taken');
    // What was kept of it is its sibling or child, whatever it is called: its parent stays what it was.
    const strict = { ...json, prefer: 'handling=strict' };
    const moved = JSON.stringify({ parent: 'grandchild' });
    expect(await refusalOf('PATCH', `${branches}/parent`, strict, moved)).toBe('400 invalid_argument');
    expect((await api.send('GET', `${branches}/parent`)).json()).toMatchObject({ parent: 'shop' });
  });

  test.for(['A', '', ' ', 'a b', 'a/b', '..', 'x'.repeat(64), 'é', 7, null, ['shop'], { name: 'shop' }])(
    'a name that cannot be: %j',
    async (name) => {
      expect(await send('POST', branches, { name })).toBe('400 invalid_argument');
      expect(await send('POST', branches, { from: name })).toBe('400 invalid_argument');
      expect(await send('POST', '/v1/tokens', { name: 'x', scope: 'branch', parents: [name] })).toBe(
        '400 invalid_argument',
      );
      expect(await send('POST', `${branches}/shop/rename`, { name })).toBe('400 invalid_argument');
    },
  );
});
