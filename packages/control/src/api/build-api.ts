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
import { DumpLoader } from './dump-loader.js';
import { KeyedCalls } from './keyed-calls.js';
import { type OpenApiDocument, openApiDocument } from './openapi.js';
import { RAW_MEDIA_TYPE } from './route.js';
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
    // Of headers here; bodies have as long, but for those that are read as they come.
    requestTimeout: 0,
    // Whoever closes it bounds how long calls under way may take.
    forceCloseConnections: 'idle',
    frameworkErrors: (error, request, reply) => void answerProblem(error, request, reply, onFailure),
    clientErrorHandler: answerBrokenRequest,
  };
  // Its types know TLS only together with other types of request.
  const secure: object = tls === undefined ? {} : { https: { ...tls, minVersion: 'TLSv1.2' } };
  const app = fastify({ ...common, ...secure });
  app.server.headersTimeout = settings.requestTimeoutMs;
  app.server.maxConnections = settings.connectionsMax;
  // Accepting may fail when file descriptors run out; the next connection finds the listener still there.
  app.server.on('error', (error) => onFailure(error, { method: 'ACCEPT', url: '' }));
  acceptEmptyJson(app);
  const callers = new WeakMap<FastifyRequest, Caller>();
  const authenticator = new Authenticator(token, control, settings);
  boundBodies(app, settings.requestTimeoutMs);
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
  const maker = new BranchMaker(control);
  const place = {
    control,
    maker,
    dumps: new DumpLoader(control, maker),
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

/**
 * A request whose body has not come in time is answered so, and its connection ends. One that is read as it comes is bounded
 * by whoever reads it; what comes of it behind its answer, as all others are.
 */
function boundBodies(app: FastifyInstance, timeoutMs: number): void {
  app.addHook('onRequest', async ({ raw, routeOptions, mediaType }, reply) => {
    const bound = () => {
      const timer = setTimeout(() => {
        if (raw.complete) return;
        if (reply.raw.headersSent) raw.socket.destroy();
        else answerBrokenRequest(requestTimeout(), raw.socket);
      }, timeoutMs).unref();
      raw.once('close', () => clearTimeout(timer));
    };
    // What is said to be JSON is read as that, also where it is refused then.
    if (routeOptions.config.takesRaw === true && mediaType === RAW_MEDIA_TYPE)
      reply.raw.once('finish', bound);
    else bound();
  });
}

function requestTimeout(): NodeJS.ErrnoException {
  return Object.assign(new Error('request timeout'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' });
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
  // Whoever wants such a body reads it from the request itself.
  app.addContentTypeParser(RAW_MEDIA_TYPE, (_request, payload, done) => done(null, payload));
}
