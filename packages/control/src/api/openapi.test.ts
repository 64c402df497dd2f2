import { allErrorDeclarations } from '@offshoot/types';
import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ApiFixture } from '../testing/api-fixture.js';
import { errorCodesOf, type OpenApiDocument } from './openapi.js';
import { routes } from './routes/index.js';

interface Operation {
  operationId: string;
  security: object[];
  parameters: { name: string; in: string; description?: string }[];
  requestBody?: object;
  responses: Record<string, { description: string; content: Record<string, { schema: object }> }>;
}

let api: ApiFixture;
let document: OpenApiDocument;
let operations: [string, Operation][];

beforeAll(async () => {
  api = await ApiFixture.open(['shop']);
  document = (await api.send('GET', '/v1/openapi.json', undefined, { token: 'none' })).json();
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(
      ([method, operation]) =>
        [`${method.toUpperCase()} ${path}`, operation as Operation] as [string, Operation],
    ),
  );
});

afterAll(() => api[Symbol.asyncDispose]());

test('it is valid OpenAPI 3.1', async () => {
  const validator = new Validator();
  expect(await validator.validate(structuredClone(document))).toEqual({ valid: true });
  expect(validator.version).toBe('3.1');
});

test('it has every route that is served, and no other', () => {
  expect(operations.map(([call]) => call).sort()).toEqual(
    routes.map(({ method, path }) => `${method} ${path}`).sort(),
  );
  expect(new Set(operations.map(([, { operationId }]) => operationId)).size).toBe(routes.length);
});

test('what it has is served: a call of each finds its route', async () => {
  for (const { method, path } of routes) {
    const url = path.replace(/\{\w+\}/g, 'nothing-here');
    if (method === 'POST' && path === '/v1/branches') continue;
    expect(await api.refusal(method, url)).not.toContain('route_not_found');
  }
});

test('every reference leads somewhere', () => {
  const { schemas } = document.components as { schemas: object };
  for (const [, name] of JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)) {
    expect(schemas).toHaveProperty(name ?? '');
  }
});

describe('every route', () => {
  test('names codes that there are, each under its status', () => {
    for (const route of routes) {
      const operation = operations.find(([call]) => call === `${route.method} ${route.path}`)?.[1];
      for (const code of errorCodesOf(route)) {
        const { httpStatus } = allErrorDeclarations().get(code) ?? {};
        expect(operation?.responses[String(httpStatus)]?.description).toContain(`\`${code}\``);
      }
    }
  });

  test('answers problem details when it refuses', () => {
    for (const [, { responses }] of operations) {
      for (const [status, { content }] of Object.entries(responses)) {
        const types =
          Number(status) < 400 ? ['application/json', 'text/plain'] : ['application/problem+json'];
        expect(types).toEqual(expect.arrayContaining(Object.keys(content)));
      }
    }
  });

  test('says which tokens may call it, but for this document', () => {
    const open = operations.filter(([, { security }]) => security.length === 0).map(([call]) => call);
    expect(open).toEqual(['GET /v1/openapi.json']);
  });

  test('describes its parameters', () => {
    const undescribed = operations.flatMap(([call, { parameters }]) =>
      parameters.filter(({ description }) => description === undefined).map(({ name }) => `${call} ${name}`),
    );
    expect(undescribed).toEqual([]);
  });
});

test('schemas and their fields are described', () => {
  const { schemas } = document.components as {
    schemas: Record<string, { description?: string; properties: Record<string, { description?: string }> }>;
  };
  expect(schemas.Checkpoint?.description).toContain('LSN');
  expect(schemas.Branch?.properties.idle_timeout?.description).toBe("Its own, or the page server's setting.");
  // By way of what it is made of.
  expect(schemas.NewBranchRequest?.properties.at?.description).toContain('history');
  expect(schemas.DeletedBranch?.properties.base_lsn?.description).toContain('starts from');
});

test('a body whose unknown fields are reported may have them', () => {
  const { schemas } = document.components as { schemas: Record<string, { additionalProperties?: boolean }> };
  expect(schemas.NewBranchRequest).not.toHaveProperty('additionalProperties');
  expect(schemas.CreateTokenRequest?.additionalProperties).toBe(false);
});
