import { request } from 'node:https';
import { newBranch, token } from '@offshoot/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ctl } from '../fixture/command-line.js';
import { DaemonProcess } from '../fixture/daemon-process.js';
import { value } from '../fixture/query.js';
import { World } from '../fixture/world.js';

let world: World;
let agent: string;

beforeAll(async () => {
  world = await World.make(['create table shop (id int)', 'insert into shop values (7)']);
  const made = await world.client.createToken({ name: 'agent', scope: 'branch', parents: ['prod'] });
  agent = made.secret;
});

afterAll(async () => world[Symbol.asyncDispose]());

function call(method: string, path: string, body?: object, headers: Record<string, string> = {}) {
  return fetch(`${world.daemon.facts.api_url}${path}`, {
    method,
    headers: { authorization: `Bearer ${agent}`, 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

const made = async (response: Response) => newBranch.parse(await response.json());

describe('an agent with nothing but a token', () => {
  test('makes a branch, queries it by the DSN of the answer, and destroys it', async () => {
    const {
      dsn,
      name,
      created_by: by,
    } = await made(await call('POST', '/v1/branches')).then((answer) => ({
      ...answer,
      ...answer.branch,
    }));
    expect(by).toMatchObject({ name: 'agent' });
    expect(await value(dsn ?? '', 'select id from shop')).toBe(7);
    expect((await call('DELETE', `/v1/branches/${name}`)).status).toBe(200);
    await expect(value(dsn ?? '', 'select')).rejects.toThrow('does not exist');
    const events = await world.client.events({ branch: name });
    expect(events.filter(({ event }) => event !== 'woken' && event !== 'slept')).toMatchObject([
      { event: 'created', facts: { token_name: 'agent' } },
      { event: 'deleted', facts: { token_name: 'agent', by: 'user' } },
    ]);
  });

  test('waits for a warm compute', async () => {
    const answer = await made(await call('POST', '/v1/branches?wait=compute', { from: 'prod' }));
    expect(answer).toMatchObject({ ready: 'warm', branch: { compute: 'running' } });
    expect(answer.timings_ms.compute).toBeGreaterThan(0);
  });
});

test('a key makes one branch, with one password, whatever befalls the daemon', async () => {
  const keys = Array.from({ length: 20 }, (_, n) => `key-${n}`);
  const send = (key: string) => call('POST', '/v1/branches', { from: 'prod' }, { 'idempotency-key': key });
  const before = new Map<string, string | undefined>();
  const calls = keys.map(async (key) => {
    const answer = await made(await send(key));
    before.set(key, answer.dsn);
    // In the middle of the others.
    if (before.size === keys.length / 2) await world.daemon.end('SIGKILL');
  });
  await Promise.allSettled(calls);
  expect(before.size).toBeGreaterThanOrEqual(keys.length / 2);
  world.daemon = await DaemonProcess.start(world.data);
  const count = async () =>
    (await world.client.branches()).filter(({ name }) => name.startsWith('fork-')).length;
  const after = await Promise.all(keys.map(async (key) => ({ key, answer: await made(await send(key)) })));
  const all = await count();
  for (const { key, answer } of after) {
    // The gateway has another port now; who and where is the same.
    if (before.has(key))
      expect(new URL(answer.dsn ?? '').password).toBe(new URL(before.get(key) ?? '').password);
    expect((await made(await send(key))).id).toBe(answer.id);
  }
  expect(new Set(after.map(({ answer }) => answer.id)).size).toBe(keys.length);
  expect(await count()).toBe(all);
  expect(await value(after[0]?.answer.dsn ?? '', 'select id from shop')).toBe(7);
});

test('tokens outlive the daemon, by the command line', async () => {
  const create = await ctl(
    world.data,
    'token',
    'create',
    'pipeline',
    '--from',
    'prod',
    '--ttl',
    '1h',
    '--json',
  );
  const { secret } = JSON.parse(create.stdout) as { secret: string };
  const self = () => call('GET', '/v1/tokens/self', undefined, { authorization: `Bearer ${secret}` });
  expect(token.parse(await (await self()).json())).toMatchObject({ name: 'pipeline', parents: ['prod'] });
  await world.daemon.end();
  world.daemon = await DaemonProcess.start(world.data);
  expect((await self()).status).toBe(200);
  expect((await ctl(world.data, 'token', 'list')).stdout).toMatch(/pipeline +branch +prod +valid/);
  expect((await ctl(world.data, 'token', 'revoke', 'pipeline')).stdout).toContain('revoked');
  expect((await self()).status).toBe(401);
});

test('with TLS it is served to others, and without on loopback to programs of this machine', async () => {
  await world.daemon.end();
  world.daemon = await DaemonProcess.start(world.data, [
    '--api-listen',
    '0.0.0.0:0',
    '--api-tls',
    'require',
    '--gateway-public-host',
    'db.example.com',
  ]);
  const { api_tls_url: tlsUrl = '', api_url: url } = world.daemon.facts;
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:/);
  const status = await new Promise((resolve, reject) => {
    const { port } = new URL(tlsUrl);
    const headers = { authorization: `Bearer ${agent}` };
    request(
      { host: '127.0.0.1', port, path: '/v1/branches', headers, rejectUnauthorized: false },
      (response) => resolve(response.resume().statusCode),
    )
      .on('error', reject)
      .end();
  });
  expect(status).toBe(200);
  expect((await made(await call('POST', '/v1/branches'))).dsn).toContain('@db.example.com:');
});
