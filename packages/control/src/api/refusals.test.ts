import { readFileSync } from 'node:fs';
import { problem } from '@offshoot/client';
import { OffshootError, parseBranchName, parseTenantName, randomTenantId } from '@offshoot/types';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ApiFixture, daemonToken } from '../testing/api-fixture.js';
import { silentSource } from '../testing/silent-source.js';
import { errorCodesOf } from './openapi.js';
import { routes } from './routes/index.js';

/** What docs/errors.md says of each code. */
const documented = new Map(
  [
    ...readFileSync(new URL('../../../../docs/errors.md', import.meta.url), 'utf8').matchAll(
      /^- `(\w+)` \((\w+), \w{5}, (\d{3})\)/gm,
    ),
  ].map(([, code = '', kind = '', status]) => [code, { kind, status: Number(status) }]),
);

/** What routes may answer with that takes what is not here, and the tests that have it. */
const provokedElsewhere: Readonly<Record<string, string>> = {
  internal: 'packages/control/src/api/build-api.test.ts',
  token_expired: 'packages/control/src/api/malformed-requests.test.ts',
  // A full disk.
  catalog_write_failed: 'packages/pageserver/src/catalog/catalog-crash.test.ts',
  // A production that is away, or slow.
  production_unreachable: 'test/e2e/branch-at.test.ts',
  production_behind: 'packages/pageserver/src/wal/catch-up.test.ts',
  // Dumps are loaded by a Postgres.
  dump_refused: 'test/e2e/databases.test.ts',
  dump_statement_failed: 'test/e2e/databases.test.ts',
  dump_too_large: 'packages/control/src/api/upload.test.ts',
  load_cancelled: 'test/e2e/databases.test.ts',
  load_interrupted: 'test/e2e/databases.test.ts',
  loads_exhausted: 'test/e2e/databases.test.ts',
  pg_restore_failed: 'test/e2e/databases.test.ts',
  pg_restore_not_found: 'packages/dump/src/load-dump.test.ts',
  upload_interrupted: 'packages/control/src/api/request-limits.test.ts',
  // What connections are told by the gateway.
  open_abandoned: 'packages/control/src/sleep/branch-races.test.ts',
  wake_failed: 'packages/control/src/sleep/branch-races.test.ts',
};

/** What the driver of computes says; the API passes it on. */
const ofDriver = [
  'base_backup_interrupted',
  'base_backup_invalid',
  'base_backup_refused',
  'compute_start_cancelled',
  'compute_start_failed',
  'compute_start_timeout',
  'compute_without_replication_role',
  'compute_without_superuser',
  'engine_busy',
  'role_name_taken',
  'wal_damaged',
  'wal_in_use',
  'wal_not_taken_in',
];

interface Call {
  readonly method?: string;
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  readonly token?: string;
}

const silent: Awaited<ReturnType<typeof silentSource>>[] = [];
let api: ApiFixture;
let url: string;
let agent: string;
let reader: string;

beforeAll(async () => {
  api = await ApiFixture.open(['shop', 'bank'], {
    broken: ['broken'],
    computesMax: 2,
    wake: { queueTimeoutMs: 50 },
    access: { bodyBytesMax: 4096, tokensMax: 3, requestsPerSecondMax: 1, refusalsPerMinuteMax: 20 },
    quota: { checkpointsPerBranchMax: 2 },
  });
  url = await api.listen();
  agent = await api.token({ name: 'agent', scope: 'branch', parents: ['shop', 'bank'] });
  reader = await api.token({ name: 'reader', scope: 'read' });
  for (const name of ['parent', 'kept', 'awake', 'changing', 'held'])
    await api.create({ name, from: 'shop' });
  await api.create({ name: 'child', from: 'parent' });
  await api.create({ name: 'bare', from: 'shop', role: null });
  await send({ method: 'PATCH', path: '/v1/branches/kept', body: { protected: true } });
  await api.create({ name: 'short', from: 'shop', ttl_seconds: 1 });
  await api.create({ name: 'of-short', from: 'short' });
  await send({ method: 'POST', path: '/v1/branches/parent/checkpoints', body: { name: 'one' } });
  await api.world.pageServer.catalog.reserveTenant({
    id: randomTenantId(),
    name: parseTenantName('coming'),
    source: { url: 'postgres://db', systemIdentifier: '8' },
    pgMajor: 15,
    pgVersionNum: 150018,
    walSegmentBytes: 16 * 1024 * 1024,
    blockBytes: 8192,
    dataChecksums: 'off',
    defaultUser: 'postgres',
    defaultDatabase: 'postgres',
    databases: [],
  });
});

afterAll(async () => {
  await api[Symbol.asyncDispose]();
  for (const each of silent) await each[Symbol.asyncDispose]();
});

function send({ method = 'GET', path, body, headers, token = daemonToken }: Call): Promise<Response> {
  return fetch(`${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
}

const branches = '/v1/branches';
const post = (path: string, body?: unknown, more: Partial<Call> = {}) =>
  send({ method: 'POST', path, body, ...more });
const remove = (path: string) => send({ method: 'DELETE', path });

function deferred<T>() {
  let [resolve, reject] = [(_: T) => {}, (_: unknown) => {}];
  const promise = new Promise<T>((...settle) => {
    [resolve, reject] = settle;
  });
  return { promise, resolve, reject };
}

/** Of the last of several calls. */
async function last(...calls: (() => Promise<Response>)[]): Promise<Response> {
  let response: Response | undefined;
  for (const call of calls) response = await call();
  return response as Response;
}

/** As the driver would fail. */
async function failing(code: string): Promise<Response> {
  api.world.driver.startFailure = new OffshootError(code, 'so the driver says');
  try {
    return await post(`${branches}/bare/compute`);
  } finally {
    api.world.driver.startFailure = undefined;
  }
}

const import_ = async (name: string) => {
  const source = await silentSource();
  silent.push(source);
  return post('/v1/tenants', { name, source_url: source.url });
};

/** One way to each, or several. */
const ways: readonly (readonly [code: string, what: string, call: () => Promise<Response>])[] = [
  ['invalid_argument', 'half a body', () => post(branches, '{"name"')],
  ['invalid_argument', 'a name that cannot be', () => post(branches, { name: 'A b' })],
  ['invalid_argument', 'a parent that cannot be', () => post(branches, { from: '../shop' })],
  ['unauthorized', 'no token', () => send({ path: branches, token: '' })],
  ['unauthorized', 'a token that is none', () => send({ path: branches, token: 'offshoot_x' })],
  ['forbidden', 'a scope that is not for this', () => post(branches, { from: 'shop' }, { token: reader })],
  [
    'forbidden',
    'a parent that may be branched, and no more',
    () => send({ method: 'DELETE', path: `${branches}/shop`, token: agent }),
  ],
  ['branch_not_found', 'a branch of others', () => send({ path: `${branches}/kept`, token: agent })],
  [
    'too_many_requests',
    'a token that asks without end',
    async () => {
      for (;;) {
        const response = await send({ path: branches, token: reader });
        if (response.status !== 200) return response;
      }
    },
  ],
  ['request_too_large', 'a body that is too long', () => post(branches, { name: 'x'.repeat(5000) })],
  [
    'media_type_unsupported',
    'no JSON',
    () => post(branches, 'a', { headers: { 'content-type': 'text/xml' } }),
  ],
  ['route_not_found', 'another method', () => send({ method: 'PUT', path: '/v1/tenants' })],
  ['operation_not_found', 'no operation', () => send({ path: '/v1/operations/none' })],
  ['token_not_found', 'no token of that name', () => remove('/v1/tokens/none')],
  ['token_exists', 'a second token of a name', () => post('/v1/tokens', { name: 'agent', scope: 'read' })],
  [
    'tokens_exhausted',
    'a token too many',
    () =>
      last(
        () => post('/v1/tokens', { name: 'third', scope: 'read' }),
        () => post('/v1/tokens', { name: 'fourth', scope: 'read' }),
      ),
  ],
  ['parent_needed', 'several tenants', () => post(branches, {})],
  ['branch_not_found', 'a parent that is not there', () => post(branches, { from: 'nowhere' })],
  ['branch_not_found', 'a branch of itself', () => post(branches, { name: 'self', from: 'self' })],
  [
    'branch_differs',
    'a parent among its own branches',
    () => send({ method: 'PUT', path: `${branches}/parent`, body: { from: 'child' } }),
  ],
  ['name_taken', 'a name twice', () => post(branches, { name: 'child', from: 'parent' })],
  [
    'idempotency_key_reused',
    'a key for two requests',
    () =>
      last(
        () => post(branches, { name: 'once', from: 'shop' }, { headers: { 'idempotency-key': 'k' } }),
        () => post(branches, { name: 'twice', from: 'shop' }, { headers: { 'idempotency-key': 'k' } }),
      ),
  ],
  [
    'idempotency_key_spent',
    'a key whose branch is gone',
    () =>
      last(
        () => post(branches, { name: 'spent', from: 'shop' }, { headers: { 'idempotency-key': 's' } }),
        () => remove(`${branches}/spent`),
        () => post(branches, { name: 'spent', from: 'shop' }, { headers: { 'idempotency-key': 's' } }),
      ),
  ],
  ['branch_has_children', 'a branch that others start from', () => remove(`${branches}/parent`)],
  ['branch_is_root', 'the first branch', () => remove(`${branches}/bank`)],
  ['branch_protected', 'a protected branch', () => remove(`${branches}/kept`)],
  [
    'branch_expired',
    'a branch whose time is over',
    async () => {
      const from = () => post(branches, { from: 'short' });
      for (;;) {
        const response = await from();
        if (response.status !== 201) return response;
      }
    },
  ],
  ['checkpoint_not_found', 'no checkpoint of that name', () => remove(`${branches}/parent/checkpoints/none`)],
  ['checkpoint_exists', 'a second of a name', () => post(`${branches}/parent/checkpoints`, { name: 'one' })],
  [
    'quota_reached',
    'a checkpoint too many',
    () =>
      last(
        () => post(`${branches}/parent/checkpoints`, { name: 'two' }),
        () => post(`${branches}/parent/checkpoints`, { name: 'three' }),
      ),
  ],
  ['branch_point_out_of_range', 'an LSN before all', () => post(branches, { from: 'shop', at: '0/1' })],
  [
    'branch_point_out_of_range',
    'a time to come',
    () => post(branches, { from: 'shop', at: '2999-01-01T00:00:00Z' }),
  ],
  [
    'production_not_followed',
    'now, of what is not followed',
    () => post(branches, { from: 'shop', at: 'now' }),
  ],
  ['branch_role_exists', 'a second role', () => post(`${branches}/parent/role`, {})],
  ['branch_role_absent', 'a password for no role', () => post(`${branches}/bare/role/password`)],
  ['branch_read_only', 'a role on production', () => post(`${branches}/shop/role`, {})],
  ['tenant_not_found', 'no tenant of that name', () => remove('/v1/tenants/none')],
  ['tenant_not_active', 'a tenant that is being imported', () => remove('/v1/tenants/coming')],
  [
    'tenant_unavailable',
    'a store that cannot be opened',
    () => post(branches, { from: 'broken', at: '0/2000138' }),
  ],
  [
    'source_url_invalid',
    'another kind of database',
    () => post('/v1/tenants', { name: 'x', source_url: 'mysql://h/d' }),
  ],
  [
    'too_many_imports',
    'an import too many',
    () =>
      last(
        () => import_('first'),
        () => import_('second'),
        () => import_('third'),
      ),
  ],
  [
    'compute_setting_invalid',
    'a size that cannot be',
    () => post(branches, { from: 'shop', cpu_min: 2, cpu_max: 1 }),
  ],
  [
    'compute_setting_invalid',
    'more cores for sure than there are',
    () => post(branches, { from: 'shop', cpu_min: 1000 }),
  ],
  [
    'compute_setting_invalid',
    'the same of a branch that is there',
    () => send({ method: 'PATCH', path: `${branches}/bare`, body: { cpu_min: 2.1 } }),
  ],
  ['compute_not_running', 'a compute that is not there', () => remove(`${branches}/bare/compute`)],
  [
    'compute_starting',
    'the socket of one that starts',
    async () => {
      const started = deferred<void>();
      api.world.driver.startGate = started.promise;
      const start = post(`${branches}/awake/compute`);
      let answer: Response;
      do answer = await send({ path: `${branches}/awake/connection-string?via=socket` });
      while (((await answer.clone().json()) as { code: string }).code === 'compute_not_running');
      started.resolve();
      await start;
      return answer;
    },
  ],
  [
    'branch_role_not_applied',
    'a change that the compute does not take',
    async () => {
      api.world.driver.applyFailure = new Error('lock timeout');
      const answer = await post(`${branches}/awake/role/password`);
      api.world.driver.applyFailure = undefined;
      return answer;
    },
  ],
  [
    'branch_point_not_reached',
    'WAL that does not come in time',
    async () => {
      const { driver } = api.world;
      const { flushedLsn } = driver;
      driver.flushedLsn = () => new Promise(() => {});
      const answer = await post(branches, { from: 'awake', at: 'now', timeout_ms: 50 });
      driver.flushedLsn = flushedLsn;
      return answer;
    },
  ],
  [
    'branch_changed',
    'a branch that is reset meanwhile',
    async () => {
      const { driver } = api.world;
      const { flushedLsn } = driver;
      await post(`${branches}/changing/compute`);
      const asked = deferred<void>();
      const gone = deferred<never>();
      driver.flushedLsn = () => {
        asked.resolve();
        return gone.promise;
      };
      const making = post(branches, { from: 'changing', at: 'now' });
      await asked.promise;
      driver.flushedLsn = flushedLsn;
      await post(`${branches}/changing/reset`);
      gone.reject(new Error('it has ended'));
      return making;
    },
  ],
  [
    'computes_exhausted',
    'a compute too many, all in use',
    async () => {
      await post(`${branches}/held/compute`);
      const signal = new AbortController().signal;
      const held = await Promise.all(
        ['awake', 'held'].map((name) => api.world.control.open(name, { signal })),
      );
      const answer = await post(`${branches}/bare/compute`);
      for (const each of held) each.release();
      return answer;
    },
  ],
  [
    'branch_loading',
    'a database that a dump is being loaded into',
    async () => {
      const { pageServer } = api.world;
      await pageServer.createBranch(parseBranchName('half'), parseBranchName('shop'), undefined, {
        loading: true,
      });
      return post(`${branches}/half/compute`);
    },
  ],
  ['template_not_made', 'a database where there is no initdb', () => post('/v1/databases', {})],
  ['dump_damaged', 'an empty dump', () => fromDump('')],
  ['dump_format_unknown', 'what is no dump', () => fromDump('\0\x01')],
  [
    'gateway_off',
    'a way by a gateway that is not there',
    async () => {
      const { gateway } = api.world;
      api.world.gateway = undefined;
      const answer = await send({ path: `${branches}/bare/connection-string?via=gateway` });
      api.world.gateway = gateway;
      return answer;
    },
  ],
  ...ofDriver.map((code) => [code, 'a compute that does not start', () => failing(code)] as const),
];

function fromDump(dump: string): Promise<Response> {
  return fetch(`${url}/v1/databases/from-dump`, {
    method: 'POST',
    headers: { authorization: `Bearer ${daemonToken}`, 'content-type': 'application/octet-stream' },
    body: dump,
  });
}

/** As docs/errors.md says it, with something to do, and with a time where that is worth a wait. */
async function expectRefusal(response: Response, code: string): Promise<void> {
  const refusal = problem.parse(await response.json());
  const { kind = '', status } = documented.get(code) ?? {};
  expect(refusal).toMatchObject({ code, status, retryable: kind === 'retry' || kind === 'reconnect' });
  expect(response.status).toBe(status);
  expect(response.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
  expect(refusal.agent_action).toMatch(/^[a-z].{15,}/);
  const { retryable, retry_after_ms: wait } = refusal;
  const seconds = response.headers.get('retry-after');
  if (retryable) expect([wait, seconds]).toEqual([expect.any(Number), String(Math.ceil((wait ?? 0) / 1000))]);
  else expect([wait, seconds]).toEqual([undefined, null]);
}

describe('what the API refuses, by HTTP', () => {
  test.each(ways)('%s: %s', async (code, _what, call) => {
    await expectRefusal(await call(), code);
  });

  test('while the daemon stops', async () => {
    await using stopping = await ApiFixture.open(['shop']);
    const to = await stopping.listen();
    const call = () =>
      fetch(`${to}/v1/tenants`, {
        method: 'POST',
        headers: { authorization: `Bearer ${daemonToken}`, 'content-type': 'application/json' },
        body: JSON.stringify({ name: 'x', source_url: 'postgres://127.0.0.1:1/x' }),
      });
    await stopping.world.pageServer.close();
    await expectRefusal(await call(), 'page_server_closed');
    await stopping.world.control.close();
    await expectRefusal(await call(), 'shutting_down');
  });
});

test('every code that a route may answer with is provoked, here or where it says', () => {
  const here = new Set([...ways.map(([code]) => code), 'page_server_closed', 'shutting_down']);
  const codes = new Set([...routes.flatMap(errorCodesOf), 'route_not_found']);
  expect([...codes].filter((code) => !here.has(code) && !(code in provokedElsewhere))).toEqual([]);
  expect([...here].filter((code) => !codes.has(code))).toEqual([]);
  for (const [code, file] of Object.entries(provokedElsewhere)) {
    expect(readFileSync(new URL(`../../../../${file}`, import.meta.url), 'utf8')).toContain(code);
  }
});

test('docs/errors.md: what is of the API is what the API may answer with', () => {
  const text = readFileSync(new URL('../../../../docs/errors.md', import.meta.url), 'utf8');
  const [, section = ''] = /^## Management API$(.*?)^## /ms.exec(text) ?? [];
  const listed = [...section.matchAll(/^- `(\w+)`/gm)].map(([, code = '']) => code);
  const codes = new Set([...routes.flatMap(errorCodesOf), 'route_not_found']);
  expect(listed.length).toBeGreaterThan(10);
  expect(listed.filter((code) => !codes.has(code))).toEqual([]);
});
