import { allErrorDeclarations, errorDeclaration } from '@offshoot/types';
import type { z } from 'zod';
import { componentSchemas, type JsonSchema, schemaOf } from './components.js';
import { everywhere, scoped } from './error-groups.js';
import { RAW_MEDIA_TYPE, type Route, type RouteResponse } from './route.js';

export interface OpenApiDocument {
  readonly openapi: '3.1.0';
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly [field: string]: unknown;
}

/** Every route with its schemas, answers and refusals. */
export function openApiDocument(routes: readonly Route[], version: string): OpenApiDocument {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const each of routes) {
    const methods = paths[each.path] ?? {};
    methods[each.method.toLowerCase()] = operationOf(each);
    paths[each.path] = methods;
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Offshoot management API',
      version,
      summary: 'Copy-on-write branches of Postgres, for people and agents.',
      description:
        'Times are RFC 3339, LSNs are text like `0/16B5A50`, sizes are bytes; durations end with their unit. A refusal is ' +
        'problem details (RFC 9457) with a `code`, whether it is `retryable`, and what to do next in `agent_action`. ' +
        'Answers may get fields that a client does not know.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      schemas: componentSchemas({ open: reportedBodies(routes) }),
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description:
            'A token of the page server. Scopes: `admin` does everything; `read` looks at everything; `branch` branches ' +
            'the parents that it was made for, and works with the branches that come of that.',
        },
      },
    },
  };
}

/** Every code that a route may be refused with. */
export function errorCodesOf({ errors, scopes }: Route): string[] {
  const own = scopes === 'public' ? ['internal'] : [...everywhere, ...scoped, ...errors];
  return [...new Set(own)].sort();
}

function reportedBodies(routes: readonly Route[]): ReadonlySet<z.ZodType> {
  return new Set(
    routes.flatMap(({ bodySchema, unknownFields }) =>
      bodySchema === undefined || unknownFields !== 'reported' ? [] : [bodySchema],
    ),
  );
}

function operationOf(route: Route): Record<string, unknown> {
  const { id, tag, summary, description, scopes } = route;
  return {
    operationId: id,
    tags: [tag],
    summary,
    description: [description, scopeWords(scopes), fieldWords(route)].filter(Boolean).join('\n\n'),
    security: scopes === 'public' ? [] : ['admin', ...scopes].map((scope) => ({ token: [scope] })),
    parameters: parametersOf(route),
    ...bodyOf(route),
    responses: { ...goodAnswers(route), ...refusals(route) },
  };
}

function bodyOf({ bodySchema, raw }: Route): { requestBody?: unknown } {
  if (raw !== undefined) {
    return {
      requestBody: { required: true, description: raw, content: { [RAW_MEDIA_TYPE]: { schema: {} } } },
    };
  }
  if (bodySchema === undefined) return {};
  return {
    requestBody: { required: false, content: { 'application/json': { schema: schemaOf(bodySchema) } } },
  };
}

function scopeWords(scopes: Route['scopes']): string {
  if (scopes === 'public') return '';
  return `Scopes: ${['admin', ...scopes].map((scope) => `\`${scope}\``).join(', ')}.`;
}

function fieldWords({ bodySchema, unknownFields }: Route): string {
  if (bodySchema === undefined) return '';
  return unknownFields === 'reported'
    ? 'Fields of the body that are not known here do nothing, and come back as `ignored_fields`; with `Prefer: ' +
        'handling=strict` they are refused.'
    : 'Fields of the body that are not known here are refused.';
}

function parametersOf({ pathSchema, querySchema, again, unknownFields }: Route): unknown[] {
  return [
    ...fieldsOf(pathSchema, 'path'),
    ...fieldsOf(querySchema, 'query'),
    ...(again === undefined ? [] : [idempotencyHeader]),
    ...(unknownFields === 'reported' ? [preferHeader] : []),
  ];
}

const idempotencyHeader = {
  name: 'Idempotency-Key',
  in: 'header',
  description: 'Chosen by the caller, such as a UUID: the same call with the same key is done once.',
  schema: { type: 'string', pattern: '^[\\x21-\\x7e]{1,255}$' },
};

const preferHeader = {
  name: 'Prefer',
  in: 'header',
  description: '`handling=strict`: refuse a body with fields that are not known.',
  schema: { type: 'string' },
};

function fieldsOf(schema: z.ZodObject | undefined, place: 'path' | 'query'): unknown[] {
  const { properties, required } = (schema === undefined ? {} : schemaOf(schema)) as {
    properties?: Record<string, JsonSchema>;
    required?: string[];
  };
  return Object.entries(properties ?? {}).map(([name, { description, ...rest }]) => ({
    name,
    in: place,
    ...(description === undefined ? {} : { description }),
    required: place === 'path' || (required ?? []).includes(name),
    schema: rest,
  }));
}

function goodAnswers({ responses }: Route): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(responses).map(([status, response]) => [status, goodAnswer(response)]),
  );
}

function goodAnswer({ description, schema }: RouteResponse): Record<string, unknown> {
  const content =
    schema === undefined
      ? { 'text/plain': { schema: { type: 'string' } } }
      : { 'application/json': { schema: schemaOf(schema) } };
  return { description, content };
}

/** One answer for each status, which says the codes that come with it. */
function refusals(route: Route): Record<string, unknown> {
  const byStatus = new Map<number, string[]>();
  for (const code of errorCodesOf(route)) {
    const status = errorDeclaration(code).httpStatus;
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries([...byStatus].map(([status, codes]) => [status, refusal(codes)]));
}

function refusal(codes: readonly string[]): Record<string, unknown> {
  const isRetryable = codes.some((code) => allErrorDeclarations().get(code)?.kind !== 'fix');
  const headers = isRetryable
    ? {
        headers: {
          'Retry-After': { description: 'Seconds, where they are known.', schema: { type: 'integer' } },
        },
      }
    : {};
  const schema = {
    allOf: [schemaOfProblem, { type: 'object', properties: { code: { enum: codes } } }],
  };
  return {
    description: codes.map((code) => `\`${code}\``).join(', '),
    ...headers,
    content: { 'application/problem+json': { schema } },
  };
}

const schemaOfProblem = { $ref: '#/components/schemas/Problem' };
