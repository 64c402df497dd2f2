import { baseError } from '@offshoot/types';
import fastify, { type FastifyInstance, type FastifyRequest, type FastifyServerOptions } from 'fastify';
import { accessDefaults } from '../access/access-settings.js';
import type { Caller } from '../access/caller.js';
import { controlError } from '../control-errors.js';
import type { ControlPlane } from '../control-plane.js';
import { addRoutes } from './add-routes.js';
import { answerBrokenRequest, answerProblem, type FailureListener } from './answer-problem.js';
import { Authenticator, daemonCaller } from './authenticate.js';
import { BranchMaker } from './branch-maker.js';
import { KeyedCalls } from './keyed-calls.js';
import { type OpenApiDocument, openApiDocument } from './openapi.js';
import { routes } from './routes/index.js';

export interface ApiOptions {
  /** The data directory's own token: with it everything can be done. */
  token: string;
  /** Of Offshoot, as the OpenAPI document says it. */
  version: string;
  onFailure: FailureListener;
  /** In PEM; absent: no TLS. */
  tls?: { readonly cert: string; readonly key: string } | undefined;
}

/** The management API over a control plane; the caller listens and closes. */
export function buildApi(control: ControlPlane, options: ApiOptions): FastifyInstance {
  const { onFailure, token, tls, version } = options;
  const settings = control.access ?? accessDefaults;
  const common: FastifyServerOptions = {
    bodyLimit: settings.bodyBytesMax,
    requestTimeout: settings.requestTimeoutMs,
    // Whoever closes it bounds how long calls under way may take.
    forceCloseConnections: 'idle',
    frameworkErrors: (error, request, reply) => void answerProblem(error, request, reply, onFailure),
    clientErrorHandler: answerBrokenRequest,
  };
  // Its types know TLS only together with other types of request.
  const secure: object = tls === undefined ? {} : { https: { ...tls, minVersion: 'TLSv1.2' } };
  const app = fastify({ ...common, ...secure });
  app.server.maxConnections = settings.connectionsMax;
  // Accepting may fail when file descriptors run out; the next connection finds the listener still there.
  app.server.on('error', (error) => onFailure(error, { method: 'ACCEPT', url: '' }));
  acceptEmptyJson(app);
  const callers = new WeakMap<FastifyRequest, Caller>();
  const authenticator = new Authenticator(token, control, settings);
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.config.isPublic !== true) callers.set(request, authenticator.callerOf(request));
  });
  app.addHook('onSend', async (_request, reply) => void reply.header('cache-control', 'no-store'));
  app.setErrorHandler((error, request, reply) => answerProblem(error, request, reply, onFailure));
  app.setNotFoundHandler((request, reply) => {
    const error = controlError('route_not_found', `there is no ${request.method} ${request.url}`);
    return answerProblem(error, request, reply, onFailure);
  });
  let document: OpenApiDocument | undefined;
  const place = {
    control,
    maker: new BranchMaker(control),
    keyed: new KeyedCalls(control),
    onFailure: (error: unknown) => onFailure(error, { method: 'GET', url: '/metrics' }),
    document: () => {
      document ??= openApiDocument(routes, version);
      return document;
    },
  };
  addRoutes(app, routes, place, (request) => callers.get(request) ?? nobody);
  return app;
}

/** Who comes to a route that is for everybody. */
const nobody: Caller = { ...daemonCaller, scope: 'read', actor: { token: 'daemon', name: 'nobody' } };

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
