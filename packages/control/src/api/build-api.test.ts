import { once } from 'node:events';
import { connect } from 'node:net';
import {
  branch,
  branchList,
  checkpoint,
  checkpointList,
  computeList,
  deletedBranch,
  eventList,
  movedBranch,
  problem,
  status,
  stoppedCompute,
} from '@offshoot/client';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ControlFixture } from '../testing/control-fixture.js';
import { silentSource } from '../testing/silent-source.js';
import { buildApi } from './build-api.js';

const token = 'a-token-that-nobody-guesses';
const failures: unknown[] = [];
let fixture: ControlFixture;
let api: FastifyInstance;
let url: string;

beforeAll(async () => {
  fixture = await ControlFixture.open(['shop'], { access: { bodyBytesMax: 8 * 1024 } });
  api = buildApi(fixture.control, {
    token,
    version: '0',
    onFailure: (error) => failures.push(error),
  });
  url = await api.listen({ host: '127.0.0.1', port: 0 });
});

afterAll(async () => {
  await api.close();
  await fixture[Symbol.asyncDispose]();
});

function send(method: string, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`${url}${path}`, {
    method,
    ...init,
    headers: { authorization: `Bearer ${token}`, ...(init.headers as Record<string, string>) },
  });
}

const json = (body: unknown) => ({
  body: JSON.stringify(body),
  headers: { 'content-type': 'application/json' },
});

/** Checks that an answer is problem details, and answers them. */
async function problemOf(response: Response) {
  expect(response.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
  const details = problem.parse(await response.json());
  expect(details.status).toBe(response.status);
  expect(details.agent_action).not.toBe('');
  return details;
}

describe('without the token', () => {
  test.each([
    ['GET', '/v1/status'],
    ['GET', '/metrics'],
    ['POST', '/v1/tenants'],
    ['DELETE', '/v1/branches/shop'],
    ['GET', '/nowhere'],
    ['OPTIONS', '/v1/tenants'],
  ])('%s %s is refused', async (method, path) => {
    for (const authorization of ['', 'Bearer ', `Basic ${token}`, `Bearer ${token}x`, token]) {
      const response = await send(method, path, { headers: { authorization } });
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toBe('Bearer');
      expect(await problemOf(response)).toMatchObject({ code: 'unauthorized', retryable: false });
    }
  });

  test('HEAD tells nothing either', async () => {
    const response = await send('HEAD', '/v1/status', { headers: { authorization: '' } });
    expect(response.status).toBe(401);
    expect(await response.text()).toBe('');
  });
});

describe('what is wrong with a request is said', () => {
  test.each<[string, string, string, RequestInit, number, string, RegExp]>([
    ['no such route', 'PUT', '/v1/tenants', {}, 404, 'route_not_found', /PUT \/v1\/tenants/],
    [
      'a body that is no JSON',
      'POST',
      '/v1/branches',
      { ...json(1), body: '{' },
      400,
      'invalid_argument',
      /JSON/,
    ],
    ['no body', 'POST', '/v1/tokens', {}, 400, 'invalid_argument', /name/],
    ['text', 'POST', '/v1/branches', { body: 'name=a' }, 415, 'media_type_unsupported', /application\/json/],
    [
      'another type',
      'POST',
      '/v1/branches',
      { body: 'a', headers: { 'content-type': 'text/xml' } },
      415,
      'media_type_unsupported',
      /application\/json/,
    ],
    ['a list', 'POST', '/v1/branches', json(['a']), 400, 'invalid_argument', /object/],
    [
      'a field too many, to whom that matters',
      'POST',
      '/v1/branches',
      {
        body: JSON.stringify({ name: 'a', form: 'shop' }),
        headers: { 'content-type': 'application/json', prefer: 'respond-async, handling=strict' },
      },
      400,
      'invalid_argument',
      /form/,
    ],
    [
      'a field too many where it would not be seen',
      'POST',
      '/v1/tenants',
      json({ name: 'a', source_url: 'postgres://h/d', slots: 2 }),
      400,
      'invalid_argument',
      /slots/,
    ],
    [
      'a role with a field too many',
      'POST',
      '/v1/branches',
      json({ name: 'a', role: { password: 'mine' } }),
      400,
      'invalid_argument',
      /password/,
    ],
    [
      'a role of a name that Postgres keeps to itself',
      'POST',
      '/v1/branches',
      json({ name: 'a', role: { name: 'pg_a' } }),
      400,
      'invalid_argument',
      /pg_/,
    ],
    [
      'rights that there are not',
      'POST',
      '/v1/branches/shop/role',
      json({ rights: 'all' }),
      400,
      'invalid_argument',
      /rights/,
    ],
    [
      'a new password for no role',
      'POST',
      '/v1/branches/shop/role/password',
      json({}),
      404,
      'branch_role_absent',
      /no role/,
    ],
    ['a bad name', 'POST', '/v1/branches', json({ name: 'A b' }), 400, 'invalid_argument', /a name is/],
    [
      '__proto__',
      'POST',
      '/v1/tenants',
      { ...json({}), body: '{"name":"a","source_url":"postgres://h/d","__proto__":{"x":1}}' },
      400,
      'invalid_argument',
      /__proto__/,
    ],
    ['too much', 'POST', '/v1/branches', json({ name: 'a'.repeat(9000) }), 413, 'request_too_large', /large/],
    [
      'a URL too long',
      'POST',
      '/v1/tenants',
      json({ name: 'a', source_url: `postgres://${'h'.repeat(5000)}` }),
      400,
      'invalid_argument',
      /source_url/,
    ],
    [
      'another database',
      'POST',
      '/v1/tenants',
      json({ name: 'a', source_url: 'mysql://u:sEcReT@h/d' }),
      400,
      'source_url_invalid',
      /postgres:/,
    ],
    ['a bad name in the path', 'GET', '/v1/branches/A', {}, 400, 'invalid_argument', /a name is/],
    ['an escape that is none', 'GET', '/v1/branches/%zz', {}, 400, 'invalid_argument', /%zz/],
    ['a name without end', 'GET', `/v1/branches/${'a'.repeat(500)}`, {}, 400, 'invalid_argument', /./],
    [
      'a parameter too many',
      'GET',
      '/v1/branches/shop/connection-string?role=x',
      {},
      400,
      'invalid_argument',
      /role/,
    ],
    ['no such branch', 'GET', '/v1/branches/b', {}, 404, 'branch_not_found', /b does not exist/],
    ['no such tenant', 'DELETE', '/v1/tenants/b', {}, 404, 'tenant_not_found', /b does not exist/],
    ['no such operation', 'DELETE', '/v1/operations/b', {}, 404, 'operation_not_found', /no operation b/],
    [
      'no such parent',
      'POST',
      '/v1/branches',
      json({ name: 'a', from: 'b' }),
      404,
      'branch_not_found',
      /b does not exist/,
    ],
    ['a name twice', 'POST', '/v1/branches', json({ name: 'shop', from: 'shop' }), 409, 'name_taken', /shop/],
    ['the root', 'DELETE', '/v1/branches/shop', {}, 409, 'branch_is_root', /tenant/],
    ['a role of the root', 'POST', '/v1/branches/shop/role', json({}), 409, 'branch_read_only', /history/],
    [
      'no compute',
      'GET',
      '/v1/branches/shop/connection-string',
      {},
      409,
      'compute_not_running',
      /no compute/,
    ],
    ['nothing to change', 'PATCH', '/v1/branches/shop', json({}), 400, 'invalid_argument', /what to change/],
    [
      'an idle time that cannot be',
      'PATCH',
      '/v1/branches/shop',
      json({ idle_timeout: -1 }),
      400,
      'invalid_argument',
      /idle_timeout/,
    ],
    [
      'no compute to stop',
      'DELETE',
      '/v1/branches/shop/compute',
      {},
      409,
      'compute_not_running',
      /no compute/,
    ],
  ])('%s', async (_what, method, path, init, status, code, detail) => {
    const response = await send(method, path, init);
    const details = await problemOf(response);
    expect(details).toMatchObject({ status, code, detail: expect.stringMatching(detail) });
    expect(JSON.stringify(details)).not.toContain('sEcReT');
  });

  test('every refusal names a next step of its own', async () => {
    const generic = 'change the request as the detail says, then send it again';
    for (const [method, path] of [
      ['GET', '/v1/branches/b'],
      ['GET', '/v1/tenants/b'],
      ['DELETE', '/v1/branches/shop'],
      ['GET', '/v1/operations/b'],
      ['DELETE', '/v1/branches/shop/compute'],
    ] as const) {
      const { agent_action } = await problemOf(await send(method, path));
      expect(agent_action).not.toBe(generic);
    }
  });
});

describe('below HTTP', () => {
  async function raw(...parts: string[]): Promise<string> {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    let answer = '';
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    for (const part of parts) socket.write(part);
    await once(socket, 'close');
    return answer;
  }

  test.each([
    ['nonsense', 'hello\r\n\r\n', /^HTTP\/1\.1 400 /],
    [
      'headers without end',
      `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`,
      /^HTTP\/1\.1 431 /,
    ],
    ['no host', 'GET /v1/status HTTP/1.1\r\nConnection: close\r\n\r\n', /^HTTP\/1\.1 400 /],
  ])('%s is answered', async (_what, bytes, answer) => {
    expect(await raw(bytes)).toMatch(answer);
    expect((await send('GET', '/v1/status')).status).toBe(200);
  });

  test('a client that goes away in the middle harms nobody', async () => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.on('error', () => {});
    const head = `POST /v1/branches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n`;
    socket.write(`${head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"name"`);
    await once(socket, 'connect');
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.resetAndDestroy();
    expect((await send('GET', '/v1/status')).status).toBe(200);
  });

  test('an error of the listening socket does not end the process', () => {
    const before = failures.length;
    api.server.emit('error', new Error('accept EMFILE'));
    expect(failures.length).toBe(before + 1);
  });
});

describe('the whole way round', () => {
  test('a branch and its compute', async () => {
    const created = await send('POST', '/v1/branches', json({ name: 'try-1' }));
    expect(created.status).toBe(201);
    expect(await created.json()).toMatchObject({ branch: { name: 'try-1', parent: 'shop' } });
    const started = await send('POST', '/v1/branches/try-1/compute', {
      headers: { 'content-type': 'application/json' },
    });
    expect(started.status).toBe(200);
    const found = await send('GET', '/v1/branches/try-1/connection-string?database=d%20b&user=u');
    expect(found.headers.get('cache-control')).toBe('no-store');
    expect(await found.json()).toMatchObject({
      database: 'd b',
      user: 'u',
      url: expect.stringContaining('d%20b'),
    });
    const changed = await send('PATCH', '/v1/branches/try-1', json({ idle_timeout: 60 }));
    expect(branch.parse(await changed.json())).toMatchObject({
      idle_timeout: 60,
      durability: 'sync',
      activity: { state: 'awake', connections: 0, wakes: 1 },
    });
    expect(status.parse(await (await send('GET', '/v1/status')).json())).toMatchObject({ computes_max: 100 });
    const { computes } = computeList.parse(await (await send('GET', '/v1/computes')).json());
    expect(computes).toMatchObject([{ branch: 'try-1', address: { host: '127.0.0.1', port: 10_001 } }]);
    const stopped = await send('DELETE', '/v1/branches/try-1/compute');
    expect(stoppedCompute.parse(await stopped.json())).toMatchObject({
      state: 'stopped',
      connections_ended: 0,
    });
    expect((await send('HEAD', '/v1/branches/try-1')).status).toBe(200);
    expect((await send('DELETE', '/v1/branches/try-1')).status).toBe(200);
    expect((await send('DELETE', '/v1/branches/try-1')).status).toBe(404);
  });

  test('the life of a branch', async () => {
    const asked = {
      name: 'life',
      ttl_seconds: 3600,
      labels: { agent: 'x' },
      snapshots: { every_seconds: 60, keep: 2 },
    };
    expect((await send('POST', '/v1/branches', json(asked))).status).toBe(201);
    expect((await send('POST', '/v1/branches', json({ name: 'child', from: 'life' }))).status).toBe(201);
    const listed = branchList.parse(await (await send('GET', '/v1/branches?label=agent%3Dx')).json());
    expect(listed.branches).toMatchObject([{ name: 'life', state: 'active', labels: { agent: 'x' } }]);
    const both = await send('GET', '/v1/branches?label=agent%3Dx&label=pr%3D1');
    expect(branchList.parse(await both.json()).branches).toEqual([]);
    const never = await send(
      'PATCH',
      '/v1/branches/life',
      json({ expires_at: null, labels: { agent: null } }),
    );
    expect(branch.parse(await never.json())).toMatchObject({ labels: {}, protected: false });
    const made = await send('POST', '/v1/branches/life/checkpoints', json({ name: 'one' }));
    expect([made.status, checkpoint.parse(await made.json()).branch]).toEqual([201, 'life']);
    const restored = await send(
      'POST',
      '/v1/branches/life/restore',
      json({ at: '@one', preserve_as: 'before' }),
    );
    expect(movedBranch.parse(await restored.json())).toMatchObject({
      preserved: 'before',
      history_of: 'life',
    });
    const reset = await send('POST', '/v1/branches/life/reset');
    expect(movedBranch.parse(await reset.json())).toMatchObject({ history_of: 'shop' });
    const { checkpoints } = checkpointList.parse(
      await (await send('GET', '/v1/branches/life/checkpoints')).json(),
    );
    expect(checkpoints.map(({ name }) => name)).toContain('one');
    expect((await send('DELETE', '/v1/branches/life/checkpoints/one')).status).toBe(200);
    expect((await problemOf(await send('DELETE', '/v1/branches/life/checkpoints/one'))).code).toBe(
      'checkpoint_not_found',
    );
    const renamed = await send('POST', '/v1/branches/life/rename', json({ name: 'lives' }));
    expect(branch.parse(await renamed.json()).name).toBe('lives');
    expect(eventList.parse(await (await send('GET', '/v1/events?limit=5')).json()).events).toEqual([]);
    expect((await problemOf(await send('DELETE', '/v1/branches/lives'))).code).toBe('branch_has_children');
    const gone = deletedBranch.parse(
      await (await send('DELETE', '/v1/branches/lives?recursive=true')).json(),
    );
    expect(gone.deleted).toEqual(['child', 'lives']);
    expect((await send('DELETE', '/v1/branches/before')).status).toBe(200);
  });

  test.each([
    ['POST', '/v1/branches', { name: 'x', ttl_seconds: 0 }, /ttl_seconds/],
    ['POST', '/v1/branches', { name: 'x', ttl_seconds: 5, expires_at: '2099-01-01T00:00:00Z' }, /not both/],
    ['POST', '/v1/branches', { name: 'x', expires_at: '2001-01-01T00:00:00Z' }, /not in the future/],
    ['POST', '/v1/branches', { name: 'x', labels: { 'a b': '' } }, /label's name/],
    ['POST', '/v1/branches', { name: 'x', at: '@No' }, /no place in a branch's history/],
    ['PATCH', '/v1/branches/shop', { ttl_seconds: 5 }, /does not expire/],
    ['POST', '/v1/branches/shop/restore', {}, /at/],
    ['POST', '/v1/branches/shop/reset', { to: 'x' }, /to/],
    ['POST', '/v1/branches/shop/reset', {}, /goes its way/],
    ['POST', '/v1/branches/shop/checkpoints', { name: 'A' }, /checkpoint's name/],
    ['POST', '/v1/branches/shop/rename', { name: 'x' }, /keeps it/],
    ['GET', '/v1/branches?label=x', undefined, /NAME=VALUE/],
    ['GET', '/v1/events?limit=0', undefined, /limit/],
    ['DELETE', '/v1/branches/shop?recursive=yes', undefined, /recursive/],
  ])('%s %s of %j is refused with words', async (method, path, body, words) => {
    const details = await problemOf(await send(method, path, body === undefined ? {} : json(body)));
    expect(details.status).toBeLessThan(500);
    expect(details.detail).toMatch(words);
  });

  test('an operation never shows the password of its source', async () => {
    await using source = await silentSource();
    const accepted = await send('POST', '/v1/tenants', json({ name: 'two', source_url: source.url }));
    expect(accepted.status).toBe(202);
    const { id } = (await accepted.json()) as { id: string };
    const ended = await (await send('DELETE', `/v1/operations/${id}`)).text();
    expect(JSON.parse(ended)).toMatchObject({ state: 'cancelled', error: { code: 'import_cancelled' } });
    const listed = await (await send('GET', '/v1/operations')).text();
    expect(`${ended}${listed}`).not.toContain('secret');
  });
});

test('a mistake in the program is told, logged, and ends nothing', async () => {
  const broken = buildApi({ status: () => Promise.reject(new TypeError('x is undefined')) } as never, {
    token,
    version: '0',
    onFailure: (error) => failures.push(error),
  });
  const before = failures.length;
  const response = await broken.inject({
    url: '/v1/status',
    headers: { authorization: `Bearer ${token}` },
  });
  expect(response.json()).toMatchObject({ status: 500, code: 'internal', retryable: false });
  expect(failures.length).toBe(before + 1);
  await broken.close();
});
