import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ConnectionError } from '../api-error.js';
import type { Problem } from '../schemas.js';
import { seconds } from './duration.js';
import { AccessError, apiErrorOf, ConflictError, LimitError, NotFoundError, ServerError } from './errors.js';
import { type DatabaseOptions, Offshoot } from './offshoot.js';

const problem = (status: number, facts: Partial<Problem> = {}): Problem => ({
  type: 'about:blank',
  title: 't',
  status,
  code: 'c',
  detail: 'd',
  retryable: false,
  agent_action: 'a',
  ...facts,
});

/** Answers each call with the next of `answers`; an Error is thrown. */
function answering(...answers: (Problem | Error | object)[]) {
  const calls: { url: string; headers: Record<string, string>; body: unknown }[] = [];
  const answer = async (url: string | URL | Request, init: RequestInit = {}) => {
    calls.push({
      url: String(url),
      headers: init.headers as Record<string, string>,
      body: init.body === undefined ? undefined : JSON.parse(String(init.body)),
    });
    const next = answers.shift() ?? new Error('nobody expected this call');
    if (next instanceof Error) throw next;
    const status = 'agent_action' in next ? (next as Problem).status : 200;
    return new Response(JSON.stringify(next), { status });
  };
  const db = new Offshoot({
    url: 'http://x',
    token: 't',
    fetch: answer as typeof fetch,
    retry: { pauseMs: 1 },
  });
  return { calls, db };
}

const list = { branches: [] };

test.each([
  ['90s', 90],
  ['15m', 900],
  ['2h', 7200],
  ['7d', 604_800],
  [1.5, 2],
])('%s are %i seconds', (text, count) => {
  expect(seconds(text)).toBe(count);
});

test.each(['', '15', '1w', '-1s', '0s', 0, Number.NaN, '1.5h'])('%j is no time', (text) => {
  expect(() => seconds(text)).toThrow(RangeError);
});

test.each([
  [401, AccessError],
  [403, AccessError],
  [404, NotFoundError],
  [409, ConflictError],
  [429, LimitError],
  [500, ServerError],
])('%i has a class of its own', (status, type) => {
  expect(apiErrorOf(problem(status))).toBeInstanceOf(type);
  expect(apiErrorOf(problem(status)).name).toBe(type.name);
});

test('what may succeed later is tried again, as is what nobody answered', async () => {
  const { calls, db } = answering(problem(503, { retryable: true }), new TypeError('fetch failed'), list);
  expect(await db.list()).toEqual([]);
  expect(calls).toHaveLength(3);
});

test('what will not succeed is not tried again', async () => {
  const { calls, db } = answering(problem(503));
  await expect(db.list()).rejects.toBeInstanceOf(ServerError);
  expect(calls).toHaveLength(1);
});

test('tries come to an end', async () => {
  const { calls, db } = answering(...Array.from({ length: 9 }, () => problem(429, { retryable: true })));
  await expect(db.list()).rejects.toBeInstanceOf(LimitError);
  expect(calls).toHaveLength(6);
});

test('the server says how long to wait', async () => {
  const { db } = answering(problem(429, { retryable: true, retry_after_ms: 120 }), list);
  const began = performance.now();
  await db.list();
  expect(performance.now() - began).toBeGreaterThanOrEqual(115);
});

test('all attempts of one call have one key, and another call another', async () => {
  const { calls, db } = answering(
    problem(503, { retryable: true }),
    new TypeError('fetch failed'),
    problem(400),
    problem(400),
  );
  await expect(db.fork({ from: 'prod', ttl: '1m' })).rejects.toMatchObject({ code: 'c' });
  await expect(db.fork()).rejects.toMatchObject({ code: 'c' });
  const keys = calls.map(({ headers }) => headers['idempotency-key']);
  expect(new Set(keys.slice(0, 3)).size).toBe(1);
  expect(keys[3]).not.toBe(keys[0]);
  expect(calls[0]?.body).toEqual({ role: {}, from: 'prod', ttl_seconds: 60 });
});

test('a fork that is to be kept says so', async () => {
  const { calls, db } = answering(problem(400));
  await expect(db.fork({ keep: true })).rejects.toMatchObject({ code: 'c' });
  expect(calls[0]?.body).toEqual({ keep: true, role: {} });
});

const dump = new Blob(['select 1;']);

test.each<[string, DatabaseOptions, RegExp]>([
  ['a role', { fromDump: dump, role: null }, /leave role out/],
  ['a warm compute', { fromDump: dump, compute: 'warm' }, /leave compute out/],
  ['what to do on errors, without a dump', { onError: 'continue' }, /fromDump/],
])('a new database is not asked for with %s', async (_, options, words) => {
  const { calls, db } = answering();
  await expect(db.createDatabase(options)).rejects.toThrow(words);
  await expect(db.createDatabase(options)).rejects.toBeInstanceOf(TypeError);
  expect(calls).toEqual([]);
});

test('an aborted signal ends it', async () => {
  const abort = new AbortController();
  const fetched = async () => {
    abort.abort();
    throw new TypeError('aborted');
  };
  const db = new Offshoot({ url: 'http://x', token: 't', fetch: fetched, signal: abort.signal });
  await expect(db.list()).rejects.toBeInstanceOf(ConnectionError);
});

test('without an address it says what is missing', () => {
  const { OFFSHOOT_URL: before } = process.env;
  delete process.env.OFFSHOOT_URL;
  expect(() => new Offshoot({ token: 't' })).toThrow('OFFSHOOT_URL');
  if (before !== undefined) process.env.OFFSHOOT_URL = before;
});

test('it runs where fetch runs: nothing of Node.js is imported', () => {
  const root = join(import.meta.dirname, '..');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.ts') && !file.endsWith('.test.ts'),
  );
  const imports = files.flatMap((file) =>
    [...readFileSync(join(root, file), 'utf8').matchAll(/from '([^.][^']*)'/g)].map(([, from]) => from),
  );
  expect([...new Set(imports)]).toEqual(['zod']);
});
