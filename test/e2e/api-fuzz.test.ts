import { Ajv2020 } from 'ajv/dist/2020.js';
import { default as formats } from 'ajv-formats';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ApiDocument, ApiRequests, type GeneratedRequest } from '../fixture/api-requests.js';
import { value } from '../fixture/query.js';
import { Randomness } from '../fixture/randomness.js';
import { World } from '../fixture/world.js';

/** `OFFSHOOT_FUZZ_REQUESTS`, `OFFSHOOT_FUZZ_SEED`: for longer, and for others. */
const requestsCount = Number(process.env.OFFSHOOT_FUZZ_REQUESTS ?? 400);
const seed = Number(process.env.OFFSHOOT_FUZZ_SEED ?? 7);
const underWayMax = 4;

let world: World;
let document: ApiDocument;
let requests: ApiRequests;
let url: string;

beforeAll(async () => {
  const tuning = { computeLimits: { computesMax: 2 }, import: { connectTimeoutMs: 500 } };
  world = await World.make(['create table shop (id int)', 'insert into shop values (7)'], { tuning });
  url = world.daemon.facts.api_url;
  document = (await (await fetch(`${url}/v1/openapi.json`)).json()) as ApiDocument;
  const { base_lsn: lsn } = await world.client.createBranch({ name: 'a', from: 'prod' });
  const tokens = await Promise.all(
    [{ scope: 'branch' as const, parents: ['prod'] }, { scope: 'read' as const }].map(async (facts, n) => {
      return (await world.client.createToken({ name: `fuzz-${n}`, ...facts })).secret;
    }),
  );
  const names = ['a', 'b', 'c', 'd-1', 'prod', 'nowhere', 'A'];
  const words = {
    name: names,
    from: ['prod', 'a', 'b', 'nowhere'],
    parent: names,
    parents: ['prod', 'a', 'nowhere'],
    preserve_as: ['kept', 'a'],
    tenant: ['prod', 'nowhere'],
    checkpoint: ['c-1', 'newest', 'none'],
    at: ['latest', 'now', lsn, '@c-1', '-1s', '0/1', '2026-01-01T00:00:00Z', '9999-01-01'],
    source_url: ['postgres://127.0.0.1:1/x', 'mysql://x', 'postgres://u:p@127.0.0.1:1/x?sslmode=bad'],
    token: ['fuzz-9', 'self', 'none'],
    id: ['none'],
    label: ['agent=a', 'x'],
    cursor: ['YQ', '!'],
    timeout_ms: [1, 500],
    ttl_seconds: [1, 3600],
    expires_at: ['2099-01-01T00:00:00Z', '2001-01-01T00:00:00+01:00'],
    limit: [1, 1000, 1001],
    wait: ['none'],
  };
  // What takes the ground away from all others; its refusals are tested elsewhere.
  const leaveOut = ['deleteTenant'];
  requests = new ApiRequests(
    document,
    new Randomness(seed),
    words,
    [world.daemon.token, world.daemon.token, ...tokens, 'none'],
    leaveOut,
  );
});

afterAll(async () => world[Symbol.asyncDispose]());

/** What is wrong with an answer; undefined: nothing is. */
function judge(): (request: GeneratedRequest, response: Response, text: string) => string | undefined {
  const ajv = new Ajv2020({ strict: false, validateFormats: true });
  formats.default(ajv);
  ajv.addSchema(document, 'api.json');
  const validators = new Map<string, ReturnType<Ajv2020['compile']>>();
  return ({ path, method, operation, init }, response, text) => {
    const { status } = response;
    const type = (response.headers.get('content-type') ?? '').split(';')[0] ?? '';
    const documented = operation.responses[String(status)];
    if (status >= 500 && status !== 503) return `a failure: ${text}`;
    if (documented === undefined) return `undocumented status ${status}: ${text}`;
    if (!(type in documented.content)) return `undocumented type ${type} of status ${status}`;
    if (type === 'text/plain') return undefined;
    const at = ['paths', path, method.toLowerCase(), 'responses', status, 'content', type, 'schema'];
    const pointer = at.map((each) => String(each).replaceAll('~', '~0').replaceAll('/', '~1')).join('/');
    const validate = validators.get(pointer) ?? ajv.compile({ $ref: `api.json#/${encodeURI(pointer)}` });
    validators.set(pointer, validate);
    if (validate(JSON.parse(text))) return undefined;
    return `status ${status} of ${init.body}: ${ajv.errorsText(validate.errors)}: ${text.slice(0, 500)}`;
  };
}

test(`${requestsCount} requests of the document are answered as it says`, {
  timeout: 60_000 + requestsCount * 500,
}, async () => {
  const wrong: string[] = [];
  const statuses = new Map<number, number>();
  const verdict = judge();
  let left = requestsCount;
  const work = async () => {
    while (left > 0) {
      left -= 1;
      const request = requests.next();
      const response = await fetch(`${url}${request.url}`, request.init);
      const text = await response.text();
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
      const fault = verdict(request, response, text);
      if (fault !== undefined)
        wrong.push(`${request.method} ${request.url} (${request.operation.operationId}): ${fault}`);
    }
  };
  await Promise.all(Array.from({ length: underWayMax }, work));
  expect(wrong).toEqual([]);
  expect([...statuses.keys()]).toEqual(expect.arrayContaining([200, 201, 400, 401, 403, 404, 409]));
});

test('production’s history is what it was, and branches are made as before', async () => {
  const { dsn } = await world.client.createBranch({ name: 'after-all', from: 'prod', role: {} });
  await expect.poll(() => value(dsn ?? '', 'select id from shop'), { timeout: 60_000 }).toBe(7);
});
