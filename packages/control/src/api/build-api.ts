import { createHash, timingSafeEqual } from 'node:crypto';
import * as schemas from '@offshoot/client';
import { baseError } from '@offshoot/types';
import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import { z } from 'zod';
import { controlError } from '../control-errors.js';
import type { ControlPlane } from '../control-plane.js';
import { answerBrokenRequest, answerProblem, type FailureListener } from './answer-problem.js';

export interface ApiOptions {
  /** What every request must carry as `Authorization: Bearer`. */
  token: string;
  /** Longest request body in bytes. */
  bodyBytesMax: number;
  onFailure: FailureListener;
}

/** From a request's first byte to its last. */
const requestTimeoutMs = 30_000;
/** Connections at one time; more are closed unheard. */
const connectionsMax = 1000;

type Handler = (request: FastifyRequest) => unknown;

const nameParameter = z.object({ name: schemas.name });
const checkpointParameters = z.object({ name: schemas.name, checkpoint: schemas.checkpointName });
const idParameter = z.object({ id: z.string().max(64) });
const connectionQuery = z.strictObject({
  database: z.string().min(1).max(63).optional(),
  user: z.string().min(1).max(63).optional(),
  via: schemas.connectVia.optional(),
});

const labelQuery = z
  .string()
  .regex(/^[^=]+=/, 'a label is given as NAME=VALUE')
  .transform((text): [string, string] => [
    text.slice(0, text.indexOf('=')),
    text.slice(text.indexOf('=') + 1),
  ]);
const branchListQuery = z.strictObject({
  label: z.preprocess((given) => (given === undefined ? [] : [given].flat()), z.array(labelQuery)),
});
const eventQuery = z.strictObject({
  branch: z.string().min(1).max(63).optional(),
  limit: z.coerce.number().int().min(1).max(10_000).default(100),
});
const deleteQuery = z.strictObject({ recursive: z.enum(['true', 'false']).optional() });

/** The management API over a control plane; the caller listens and closes. */
export function buildApi(control: ControlPlane, options: ApiOptions): FastifyInstance {
  const { bodyBytesMax, onFailure, token } = options;
  const app = fastify({
    bodyLimit: bodyBytesMax,
    requestTimeout: requestTimeoutMs,
    // Whoever closes it bounds how long calls under way may take.
    forceCloseConnections: 'idle',
    frameworkErrors: (error, request, reply) => void answerProblem(error, request, reply, onFailure),
    clientErrorHandler: answerBrokenRequest,
  });
  app.server.maxConnections = connectionsMax;
  // Accepting may fail when file descriptors run out; the next connection finds the listener still there.
  app.server.on('error', (error) => onFailure(error, { method: 'ACCEPT', url: '' }));
  acceptEmptyJson(app);
  app.addHook('onRequest', authenticate(token));
  app.addHook('onSend', async (_request, reply) => void reply.header('cache-control', 'no-store'));
  app.setErrorHandler((error, request, reply) => answerProblem(error, request, reply, onFailure));
  app.setNotFoundHandler((request, reply) => {
    const error = controlError('route_not_found', `there is no ${request.method} ${request.url}`);
    return answerProblem(error, request, reply, onFailure);
  });
  addTenantRoutes(app, control);
  addBranchRoutes(app, control);
  app.get('/v1/status', () => control.status());
  app.get('/metrics', async (request, reply) => {
    const { method, url } = request;
    const text = await control.metrics.text((error) => onFailure(error, { method, url }));
    return reply.type(control.metrics.contentType).send(text);
  });
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
  app.patch('/v1/tenants/:name', (request) =>
    control.updateTenant(
      check(nameParameter, request.params, 'path').name,
      check(schemas.updateTenantRequest, request.body, 'body'),
    ),
  );
  app.post('/v1/tenants/:name/gc', (request, reply) => {
    reply.code(202);
    return control.collectGarbage(check(nameParameter, request.params, 'path').name);
  });
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
  app.get('/v1/branches', (request) => {
    const { label } = check(branchListQuery, request.query, 'query');
    return { branches: control.branches({ labels: Object.fromEntries(label) }) };
  });
  app.post('/v1/branches', (request, reply) => {
    reply.code(201);
    return control.createBranch(check(schemas.createBranchRequest, request.body, 'body'));
  });
  app.get('/v1/branches/:name', (request) => control.branch(named(request)));
  app.patch('/v1/branches/:name', (request) =>
    control.updateBranch(named(request), check(schemas.updateBranchRequest, request.body, 'body')),
  );
  app.delete('/v1/branches/:name', (request) => {
    const { recursive } = check(deleteQuery, request.query, 'query');
    return control.deleteBranch(named(request), { recursive: recursive === 'true' });
  });
  app.post('/v1/branches/:name/rename', (request) =>
    control.renameBranch(named(request), check(schemas.renameBranchRequest, request.body, 'body')),
  );
  app.post('/v1/branches/:name/reset', (request) =>
    control.resetBranch(named(request), check(schemas.resetBranchRequest, request.body, 'body')),
  );
  app.post('/v1/branches/:name/restore', (request) =>
    control.restoreBranch(named(request), check(schemas.restoreBranchRequest, request.body, 'body')),
  );
  app.get('/v1/branches/:name/checkpoints', (request) => ({
    checkpoints: control.checkpoints(named(request)),
  }));
  app.post('/v1/branches/:name/checkpoints', (request, reply) => {
    reply.code(201);
    return control.createCheckpoint(
      named(request),
      check(schemas.createCheckpointRequest, request.body, 'body'),
    );
  });
  app.delete('/v1/branches/:name/checkpoints/:checkpoint', (request) => {
    const { name, checkpoint } = check(checkpointParameters, request.params, 'path');
    return control.deleteCheckpoint(name, checkpoint);
  });
  app.post('/v1/branches/:name/compute', (request) => control.startCompute(named(request)));
  app.delete('/v1/branches/:name/compute', (request) => control.stopCompute(named(request)));
  app.post('/v1/branches/:name/role', (request, reply) => {
    reply.code(201);
    return control.createRole(named(request), check(schemas.roleRequest, request.body, 'body'));
  });
  app.post('/v1/branches/:name/role/password', (request) =>
    control.rotatePassword(named(request), check(schemas.rotatePasswordRequest, request.body, 'body')),
  );
  app.delete('/v1/branches/:name/role', (request) => control.deleteRole(named(request)));
  app.get('/v1/branches/:name/connection-string', (request) => {
    const { database, user, via } = check(connectionQuery, request.query, 'query');
    return control.connectionString(named(request), {
      ...(database === undefined ? {} : { database }),
      ...(user === undefined ? {} : { user }),
      ...(via === undefined ? {} : { via }),
    });
  });
  app.get('/v1/events', async (request) => {
    const { branch, limit } = check(eventQuery, request.query, 'query');
    return { events: await control.events({ branch, limit }) };
  });
  app.get('/v1/computes', () => ({ computes: control.computes() }));
}

/** The value in the schema's shape, or `invalid_argument` with every fault named. */
function check<T>(schema: z.ZodType<T>, value: unknown, where: 'body' | 'path' | 'query'): T {
  const parsed = schema.safeParse(value ?? {});
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => `${issue.path.join('.') || where}: ${wordsOf(issue)}`);
  throw baseError('invalid_argument', faults.join('; '));
}

/** Of a name in a record: what is wrong with it. */
function wordsOf(issue: z.core.$ZodIssue): string {
  return (issue.code === 'invalid_key' ? issue.issues[0]?.message : undefined) ?? issue.message;
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
  // Text that claims to be nothing else is none either.
  app.removeContentTypeParser(['application/json', 'text/plain']);
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    if (body === '') return done(null, undefined);
    try {
      done(null, JSON.parse(String(body)));
    } catch {
      done(baseError('invalid_argument', 'the body is not JSON'));
    }
  });
}
