import { createHash, timingSafeEqual } from 'node:crypto';
import * as schemas from '@offshoot/client';
import { baseError } from '@offshoot/types';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { z } from 'zod';
import { controlError } from '../control-errors.js';
import type { ControlPlane } from '../control-plane.js';
import { toProblem } from '../problem.js';

export interface ApiOptions {
  /** What every request must carry as `Authorization: Bearer`. */
  token: string;
  /** Longest request body in bytes. */
  bodyBytesMax: number;
  /** Told of every failure that is not the caller's doing. */
  onFailure(error: unknown, request: { method: string; url: string }): void;
}

type Handler = (request: FastifyRequest) => unknown;

const nameParameter = z.object({ name: schemas.name });
const idParameter = z.object({ id: z.string().max(64) });
const connectionQuery = z.strictObject({
  database: z.string().min(1).max(63).optional(),
  user: z.string().min(1).max(63).optional(),
});

/** The management API over a control plane; the caller listens and closes. */
export function buildApi(control: ControlPlane, options: ApiOptions): FastifyInstance {
  const app = fastify({ bodyLimit: options.bodyBytesMax, forceCloseConnections: true });
  acceptEmptyJson(app);
  app.addHook('onRequest', authenticate(options.token));
  app.setErrorHandler((error, request, reply) => answerProblem(error, request, reply, options));
  app.setNotFoundHandler((request, reply) => {
    const error = controlError('route_not_found', `there is no ${request.method} ${request.url}`);
    return answerProblem(error, request, reply, options);
  });
  addTenantRoutes(app, control);
  addBranchRoutes(app, control);
  app.get('/v1/status', () => control.status());
  return app;
}

function addTenantRoutes(app: FastifyInstance, control: ControlPlane): void {
  const withName = (work: (name: string) => unknown): Handler => {
    return (request) => work(check(nameParameter, request.params, 'path').name);
  };
  app.get('/v1/tenants', async () => ({ tenants: await control.tenants() }));
  app.post('/v1/tenants', (request, reply) => {
    reply.code(202);
    return control.importTenant(check(schemas.importTenantRequest, request.body, 'body'));
  });
  app.get(
    '/v1/tenants/:name',
    withName((name) => control.tenant(name)),
  );
  app.delete(
    '/v1/tenants/:name',
    withName((name) => control.deleteTenant(name)),
  );
  app.get('/v1/operations', () => ({ operations: control.operations() }));
  app.get('/v1/operations/:id', (request) =>
    control.operation(check(idParameter, request.params, 'path').id),
  );
  app.delete('/v1/operations/:id', (request) =>
    control.cancelOperation(check(idParameter, request.params, 'path').id),
  );
}

function addBranchRoutes(app: FastifyInstance, control: ControlPlane): void {
  const named = (request: FastifyRequest) => check(nameParameter, request.params, 'path').name;
  app.get('/v1/branches', () => ({ branches: control.branches() }));
  app.post('/v1/branches', (request, reply) => {
    reply.code(201);
    return control.createBranch(check(schemas.createBranchRequest, request.body, 'body'));
  });
  app.get('/v1/branches/:name', (request) => control.branch(named(request)));
  app.delete('/v1/branches/:name', (request) => control.deleteBranch(named(request)));
  app.post('/v1/branches/:name/compute', (request) => control.startCompute(named(request)));
  app.delete('/v1/branches/:name/compute', (request) => control.stopCompute(named(request)));
  app.get('/v1/branches/:name/connection-string', (request) => {
    const { database, user } = check(connectionQuery, request.query, 'query');
    return control.connectionString(named(request), {
      ...(database === undefined ? {} : { database }),
      ...(user === undefined ? {} : { user }),
    });
  });
  app.get('/v1/computes', () => ({ computes: control.computes() }));
}

/** The value in the schema's shape, or `invalid_argument` with every fault named. */
function check<T>(schema: z.ZodType<T>, value: unknown, where: 'body' | 'path' | 'query'): T {
  const parsed = schema.safeParse(value ?? {});
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => `${issue.path.join('.') || where}: ${issue.message}`);
  throw baseError('invalid_argument', faults.join('; '));
}

function authenticate(token: string) {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const expected = digest(`Bearer ${token}`);
  return async (request: FastifyRequest): Promise<void> => {
    if (timingSafeEqual(digest(request.headers.authorization ?? ''), expected)) return;
    throw controlError('unauthorized', 'send the token of the page server as "Authorization: Bearer TOKEN"');
  };
}

/** Clients send `content-type: application/json` with nothing behind it; that is an absent body. */
function acceptEmptyJson(app: FastifyInstance): void {
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    if (body === '') return done(null, undefined);
    try {
      done(null, JSON.parse(String(body)));
    } catch {
      done(baseError('invalid_argument', 'the body is not JSON'));
    }
  });
}

function answerProblem(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  options: ApiOptions,
): FastifyReply {
  const problem = toProblem(refusalOfFramework(error));
  if (problem.status >= 500) options.onFailure(error, { method: request.method, url: request.url });
  return reply.code(problem.status).type('application/problem+json').send(problem);
}

/** Fastify's own refusals (body too large, wrong media type, bad URL) are the caller's to mend. */
function refusalOfFramework(error: unknown): unknown {
  if (!(error instanceof Error) || !('statusCode' in error)) return error;
  const { statusCode } = error;
  const callers = typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500;
  return callers ? baseError('invalid_argument', error.message, { cause: error }) : error;
}
