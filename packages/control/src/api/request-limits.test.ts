import { describe, expect, test } from 'vitest';
import { ApiFixture, daemonToken } from '../testing/api-fixture.js';

test('a token that asks too often is told how long to wait; others are not held up', async () => {
  await using api = await ApiFixture.open(['shop'], { access: { requestsPerSecondMax: 1 } });
  const busy = await api.token({ name: 'busy', scope: 'read' });
  const calm = await api.token({ name: 'calm', scope: 'read' });
  for (let n = 0; n < 5; n += 1) await api.send('GET', '/v1/status', undefined, { token: busy });
  const answer = await api.send('GET', '/v1/status', undefined, { token: busy });
  const { retry_after_ms: wait } = answer.json() as { retry_after_ms: number };
  expect(answer.json()).toMatchObject({ status: 429, code: 'too_many_requests', retryable: true });
  expect(answer.headers['retry-after']).toBe(String(Math.ceil(wait / 1000)));
  expect(await api.refusal('GET', '/v1/status', undefined, { token: calm })).toBe('200');
  expect(await api.refusal('GET', '/v1/status')).toBe('200');
});

test('an address that guesses is held up, but not whoever has the right token', async () => {
  await using api = await ApiFixture.open(['shop'], { access: { refusalsPerMinuteMax: 3 } });
  for (let n = 0; n < 3; n += 1) {
    expect(await api.refusal('GET', '/v1/status', undefined, { token: `guess-${n}` })).toBe(
      '401 unauthorized',
    );
  }
  expect(await api.refusal('GET', '/v1/status', undefined, { token: 'guess' })).toBe('429 too_many_requests');
  expect(await api.refusal('GET', '/v1/status')).toBe('200');
});

test('a token is refused when its time is over', async () => {
  await using api = await ApiFixture.open(['shop']);
  const brief = await api.token({ name: 'brief', scope: 'read', ttl_seconds: 1 });
  expect(await api.refusal('GET', '/v1/status', undefined, { token: brief })).toBe('200');
  await expect
    .poll(() => api.refusal('GET', '/v1/status', undefined, { token: brief }), { timeout: 10_000 })
    .toBe('401 token_expired');
});

test('a token that loads as many dumps as it may does not keep others from it', async () => {
  await using api = await ApiFixture.open(['shop'], { database: { loadsMax: 3, loadsPerTokenMax: 1 } });
  const address = await api.listen();
  const [greedy, modest] = await Promise.all(
    ['greedy', 'modest'].map((name) => api.token({ name, scope: 'branch', parents: ['shop'] })),
  );
  const load = async (token = daemonToken, body?: ReadableStream, signal?: AbortSignal) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/octet-stream' };
    const request = { method: 'POST', headers, body: body ?? '', duplex: 'half', signal } as RequestInit;
    const answer = await fetch(`${address}/v1/databases/from-dump`, request);
    return (await answer.json()) as { code: string; detail: string };
  };
  const over = new AbortController();
  // What it is, so few bytes do not say; more are waited for.
  const endless = new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from('--')) });
  const held = load(greedy, endless, over.signal).catch(() => undefined);
  await expect.poll(() => load(greedy), { timeout: 10_000 }).toMatchObject({ code: 'loads_exhausted' });
  expect((await load(greedy)).detail).toContain('loadsPerTokenMax 1');
  expect(await load(modest)).toMatchObject({ code: 'dump_damaged' });
  expect(await load()).toMatchObject({ code: 'dump_damaged' });
  over.abort();
  await held;
  await expect.poll(() => load(greedy), { timeout: 10_000 }).toMatchObject({ code: 'dump_damaged' });
});

describe('a body that does not come in time', () => {
  const part = (type: string) => `Content-Type: ${type}\r\nContent-Length: 10\r\n\r\n{`;

  test('is not waited for', async () => {
    await using api = await ApiFixture.open(['shop'], { access: { requestTimeoutMs: 200 } });
    const answer = await api.overSocket('POST', '/v1/branches', part('application/json'));
    expect(answer).toMatch(/^HTTP\/1.1 408 /);
    expect(answer).toContain('did not come in time');
  });

  test('is not waited for where a dump should be', async () => {
    await using api = await ApiFixture.open(['shop'], { access: { requestTimeoutMs: 200 } });
    const answer = await api.overSocket('POST', '/v1/databases/from-dump', part('application/json'));
    expect(answer).toMatch(/^HTTP\/1.1 408 /);
  });

  test('is not waited for behind its answer', async () => {
    await using api = await ApiFixture.open(['shop'], { access: { requestTimeoutMs: 200 } });
    // Each is refused by its headers.
    const other = await api.overSocket(
      'POST',
      '/v1/databases/from-dump?x=1',
      part('application/octet-stream'),
    );
    expect(other).toMatch(/^HTTP\/1.1 400 /);
    expect(await api.overSocket('POST', '/v1/branches', part('application/octet-stream'))).toMatch(
      /^HTTP\/1.1 415 /,
    );
  });

  test('is waited for where it is a dump, for as long as it may be silent', async () => {
    const limits = { access: { requestTimeoutMs: 200 }, database: { silenceMsMax: 1000 } };
    await using api = await ApiFixture.open(['shop'], limits);
    const answer = await api.overSocket('POST', '/v1/databases/from-dump', part('application/octet-stream'));
    expect(answer).toMatch(/^HTTP\/1.1 408 /);
    expect(answer).toContain('upload_interrupted');
  });
});
