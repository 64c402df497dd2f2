import { newBranch } from '@offshoot/client';
import { formatLsn, parseBranchName } from '@offshoot/types';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ApiFixture } from '../testing/api-fixture.js';
import { IMPORTED } from '../testing/control-fixture.js';

let api: ApiFixture;

beforeAll(async () => {
  api = await ApiFixture.open(['shop']);
});

afterAll(async () => {
  expect(api.failures).toEqual([]);
  await api[Symbol.asyncDispose]();
});

const put = async (name: string, body: object = {}) => {
  const answer = await api.send('PUT', `/v1/branches/${name}`, body);
  return { status: answer.statusCode, made: newBranch.parse(answer.json()) };
};

describe('what a creation answers', () => {
  test('a DSN that works at once, and where the branch starts', async () => {
    const made = await api.create({ name: 'whole', from: 'shop' });
    expect(made).toMatchObject({
      name: 'whole',
      parent: 'shop',
      created: true,
      ready: 'on_connect',
      base_lsn: formatLsn(IMPORTED),
      dsn: made.credentials?.connection_string,
      ignored_fields: [],
    });
    expect(made.dsn).toMatch(/^postgres(ql)?:\/\/.+:.+@127\.0\.0\.1:5433\/postgres(@|%40)whole/);
  });

  test('when it expires: in a week, as is said, or never', async () => {
    const inDays = ({ expires_at = '' }: { expires_at?: string | undefined }) =>
      Math.round((Date.parse(expires_at) - Date.now()) / 86_400_000);
    const made = await api.create();
    expect(inDays(made)).toBe(7);
    expect(made.expires_at).toBe(made.branch.expires_at);
    expect(inDays(await api.create({ ttl_seconds: 3 * 86_400 }))).toBe(3);
    expect((await api.create({ keep: true })).expires_at).toBeUndefined();
    expect(inDays((await put('in-a-week')).made)).toBe(7);
    expect((await put('in-a-week', { keep: true })).made.not_applied).toEqual(['keep']);
    expect((await put('kept', { keep: true })).made.expires_at).toBeUndefined();
    expect((await put('kept', { keep: true })).made.not_applied).toEqual([]);
    const both = { keep: true, ttl_seconds: 5 };
    expect(await api.refusal('POST', '/v1/branches', both)).toBe('400 invalid_argument');
  });

  test('without a role the DSN has no password', async () => {
    const made = await api.create({ role: null });
    expect(made.credentials).toBeUndefined();
    expect(made.dsn).toContain('postgres@127.0.0.1');
  });

  test('a warm compute, when it is waited for; by the body or the query', async () => {
    expect(await api.create({ wait: 'compute' })).toMatchObject({
      ready: 'warm',
      branch: { compute: 'running' },
      timings_ms: { compute: expect.any(Number) },
    });
    const answer = await api.send('POST', '/v1/branches?wait=compute');
    expect(answer.json()).toMatchObject({ ready: 'warm' });
  });

  test('a branch whose compute does not start is there, and says so', async () => {
    api.world.driver.startFailure = new Error('no room');
    const made = await api.create({ name: 'cold', wait: 'compute' });
    api.world.driver.startFailure = undefined;
    expect(made).toMatchObject({
      ready: 'on_connect',
      compute_problem: { detail: expect.stringMatching('no room') },
    });
    expect(await api.refusal('GET', '/v1/branches/cold')).toBe('200');
  });

  test('fields that nobody knows', async () => {
    expect((await api.create({ tll: '1h', __proto: 1 })).ignored_fields).toEqual(['tll', '__proto']);
    const changed = await api.send('PATCH', '/v1/branches/whole', { idle_timeout: 5, tll: '1h' });
    expect(changed.json()).toMatchObject({ idle_timeout: 5, ignored_fields: ['tll'] });
    const strict = await api.send(
      'PATCH',
      '/v1/branches/whole',
      { idle_timeout: 5 },
      { prefer: 'handling=strict' },
    );
    expect(strict.headers['preference-applied']).toBe('handling=strict');
    expect(strict.json()).toMatchObject({ ignored_fields: [] });
  });
});

describe('PUT', () => {
  test('makes once, then gets', async () => {
    const labels = { pr: '42' };
    const first = await put('pr-42', { idle_timeout: 7, labels, ttl_seconds: 60 });
    expect(first).toMatchObject({
      status: 201,
      made: { created: true, expires_at: first.made.branch.expires_at },
    });
    const again = await put('pr-42', {
      idle_timeout: 8,
      durability: 'sync',
      role: { rights: 'superuser' },
      labels,
      wait: 'none',
    });
    expect(again).toMatchObject({
      status: 200,
      made: { created: false, branch: { idle_timeout: 7 }, not_applied: ['idle_timeout', 'role'] },
    });
    expect(again.made.credentials).toBeUndefined();
    expect(again.made.dsn).toContain('pr-42');
  });

  test('many at once make one', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => put('crowd')));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(new Set(answers.map(({ made }) => made.id)).size).toBe(1);
  });

  test('refuses what contradicts the branch that is there', async () => {
    await put('here', { at: formatLsn(IMPORTED) });
    await api.create({ name: 'elsewhere' });
    expect(await api.refusal('PUT', '/v1/branches/here', { from: 'elsewhere' })).toBe('409 branch_differs');
    expect(await api.refusal('PUT', '/v1/branches/here', { at: '0/1' })).toBe('409 branch_differs');
    expect(await api.refusal('PUT', '/v1/branches/here', { at: '-5m' })).toBe('409 branch_differs');
    expect(await api.refusal('PUT', '/v1/branches/here', { from: 'shop', at: 'latest' })).toBe('200');
    expect(await api.refusal('PUT', '/v1/branches/here', { at: formatLsn(IMPORTED).toLowerCase() })).toBe(
      '200',
    );
    expect(await api.refusal('PUT', '/v1/branches/here', { name: 'there' })).toBe('400 invalid_argument');
    expect(await api.refusal('PUT', '/v1/branches/shop')).toBe('409 branch_differs');
  });
});

describe('PUT knows a place again, however it is written', () => {
  const ago = (text: string) => `-${text}`;
  const lsn = formatLsn(IMPORTED);
  const [high = '', low = ''] = lsn.split('/');

  test.each<[string, string | undefined, string, string]>([
    ['no place', undefined, 'Latest', '200'],
    ['latest', 'latest', ' LATEST ', '200'],
    ['an LSN in lower case', lsn, lsn.toLowerCase(), '200'],
    ['an LSN with zeros before it', undefined, `${high.padStart(8, '0')}/${low.padStart(8, '0')}`, '200'],
    ['an LSN for another word', 'latest', ` ${lsn} `, '200'],
    ['a checkpoint', '@newest', '@newest', '200'],
    ['another checkpoint', '@one', '@newest', '409 branch_differs'],
    ['another LSN', lsn, '0/1', '409 branch_differs'],
    ['how long ago', ago('5m'), ago('300s'), '200'],
    ['how long ago, otherwise', ago('5m'), ago('301s'), '409 branch_differs'],
    ['UTC', '2026-01-02T03:04:05Z', '2026-01-02T03:04:05+00:00', '200'],
    ['as Postgres writes it', '2026-01-02T03:04:05Z', '2026-01-02 03:04:05+00', '200'],
    ['without a zone', '2026-01-02T03:04:05Z', '2026-01-02 03:04:05.000', '200'],
    ['in another zone', '2026-01-02T03:04:05Z', '2026-01-02T04:34:05.000000+01:30', '200'],
    ['a microsecond later', '2026-01-02T03:04:05Z', '2026-01-02T03:04:05.000001Z', '409 branch_differs'],
    ['a time for an LSN', lsn, '2026-01-02T03:04:05Z', '409 branch_differs'],
    ['no place at all', 'latest', 'yesterday', '400 invalid_argument'],
  ])('%s', async (_what, askedAt, at, answer) => {
    const { catalog } = api.world.pageServer;
    const parent = catalog.branchNamed(parseBranchName('shop'));
    const name = `place-${String(_what)
      .replaceAll(/[^a-z]/g, '-')
      .toLowerCase()}`;
    const words = askedAt === undefined ? {} : { askedAt };
    await api.world.pageServer.createBranch(parseBranchName(name), parent.name, IMPORTED, words);
    expect(await api.refusal('PUT', `/v1/branches/${name}`, { at })).toBe(answer);
  });
});

describe('an Idempotency-Key', () => {
  const keyed = (key: string, body: object = {}, url = '/v1/branches') =>
    api.send('POST', url, body, { 'idempotency-key': key });

  test('makes one branch, with one password, however often it is sent', async () => {
    const first = newBranch.parse((await keyed('k1', { idle_timeout: 5 })).json());
    const again = await keyed('k1', { idle_timeout: 5 });
    expect(again.statusCode).toBe(201);
    expect(again.headers['idempotency-replayed']).toBe('true');
    const replayed = newBranch.parse(again.json());
    expect(replayed.credentials).toEqual(first.credentials);
    expect(replayed).toMatchObject({ id: first.id, dsn: first.dsn, created: true, at: first.at });
  });

  test('waits for a call that is still under way', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => keyed('k2')));
    expect(new Set(answers.map((answer) => newBranch.parse(answer.json()).id)).size).toBe(1);
    expect(answers.filter(({ headers }) => headers['idempotency-replayed'] === undefined)).toHaveLength(1);
  });

  test('belongs to one request, whatever order its fields come in', async () => {
    await keyed('k3', { idle_timeout: 5, durability: 'sync' });
    expect((await keyed('k3', { durability: 'sync', idle_timeout: 5 })).statusCode).toBe(201);
    expect((await keyed('k3', { idle_timeout: 6 })).json()).toMatchObject({ code: 'idempotency_key_reused' });
  });

  test('belongs to one token', async () => {
    const agent = await api.token({ name: 'agent', scope: 'branch', parents: ['shop'] });
    const mine = await api.create({}, { 'idempotency-key': 'k4' });
    const theirs = await api.create({}, { 'idempotency-key': 'k4', token: agent });
    expect(theirs.id).not.toBe(mine.id);
  });

  test('does not keep a failure', async () => {
    expect((await keyed('k5', { name: 'late', from: 'not-yet' })).statusCode).toBe(404);
    await api.create({ name: 'not-yet' });
    expect((await keyed('k5', { name: 'late', from: 'not-yet' })).statusCode).toBe(201);
  });

  test('tells no password that does not hold any more, and no branch that is gone', async () => {
    const { name } = await api.create({ name: 'rotated' }, { 'idempotency-key': 'k6' });
    await api.send('POST', `/v1/branches/${name}/role/password`);
    expect((await keyed('k6', { name })).json()).not.toHaveProperty('credentials');
    await api.send('DELETE', `/v1/branches/${name}`);
    expect((await keyed('k6', { name })).json()).toMatchObject({ code: 'idempotency_key_spent' });
  });

  test('is none when it is too long', async () => {
    expect((await keyed('x'.repeat(256))).json()).toMatchObject({ code: 'invalid_argument' });
  });
});

test('a branch is known by its id too, and no other can be called that', async () => {
  const { id } = await api.create({ name: 'known' });
  expect((await api.send('GET', `/v1/branches/${id}`)).json()).toMatchObject({ name: 'known' });
  expect(await api.refusal('POST', '/v1/branches', { name: id })).toBe('409 name_taken');
  expect(await api.refusal('PUT', `/v1/branches/${id}`)).toBe('409 name_taken');
  expect((await api.send('DELETE', `/v1/branches/${id}`)).statusCode).toBe(200);
});

describe('lists', () => {
  test('come in pages, by name, of what is asked for', async () => {
    await using many = await ApiFixture.open(['shop', 'bank']);
    for (const name of ['a', 'b', 'c', 'd', 'e']) await many.create({ name, from: 'shop' });
    await many.create({ name: 'a-2', from: 'a' });
    const pages: string[][] = [];
    let cursor: string | undefined;
    do {
      const url = `/v1/branches?tenant=shop&limit=3${cursor === undefined ? '' : `&cursor=${cursor}`}`;
      const page = (await many.send('GET', url)).json() as {
        branches: { name: string }[];
        next_cursor?: string;
      };
      pages.push(page.branches.map(({ name }) => name));
      cursor = page.next_cursor;
    } while (cursor !== undefined);
    expect(pages).toEqual([['a', 'a-2', 'b'], ['c', 'd', 'e'], ['shop']]);
    const children = (await many.send('GET', '/v1/branches?parent=a')).json() as { branches: object[] };
    expect(children.branches).toMatchObject([{ name: 'a-2' }]);
    for (const bad of ['limit=0', 'limit=1001', 'limit=x', 'cursor=!!', 'cursor=QQ==', 'tenants=shop']) {
      expect(await many.refusal('GET', `/v1/branches?${bad}`)).toBe('400 invalid_argument');
    }
  });
});
