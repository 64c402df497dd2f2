import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '../access/caller.js';
import { controlError } from '../control-errors.js';
import type { ApiPlace } from './api-place.js';
import { checkInput, checkKnownFields } from './check-input.js';
import { readIdempotencyKey, sentKey } from './idempotency-key.js';
import { Answer, RAW_MEDIA_TYPE, type RawBody, type Route } from './route.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Needs no token. */
    isPublic?: boolean;
    /** Its body is read as it comes, for as long as that takes. */
    takesRaw?: boolean;
  }
}

/** Has fastify serve the routes; `callerOf` answers whom a request was found to come from. */
export function addRoutes(
  app: FastifyInstance,
  routes: readonly Route[],
  place: ApiPlace,
  callerOf: (request: FastifyRequest) => Caller,
): void {
  for (const route of routes) {
    app.route({
      method: route.method,
      url: route.path.replace(/\{(\w+)\}/g, ':$1'),
      config: { isPublic: route.scopes === 'public', takesRaw: route.raw !== undefined },
      handler: async (request, reply) => {
        const { answer, ignored, strict } = await answerOf(
          route,
          request,
          place,
          callerOf(request),
          rawBody(request, reply),
        );
        const body =
          ignored === undefined ? answer.body : { ...(answer.body as object), ignored_fields: ignored };
        if (strict) reply.header('preference-applied', 'handling=strict');
        return reply.code(answer.status).headers(answer.headers).send(body);
      },
    });
  }
}

async function answerOf(
  route: Route,
  request: FastifyRequest,
  place: ApiPlace,
  caller: Caller,
  raw: RawBody,
): Promise<{ answer: Answer; ignored: string[] | undefined; strict: boolean }> {
  expectScope(route, caller);
  const path = route.pathSchema && checkInput(route.pathSchema, request.params, 'path');
  const { again } = route;
  const text = again === undefined ? undefined : readIdempotencyKey(request.headers['idempotency-key']);
  const isAgain = text !== undefined && place.keyed.knows(caller, text);
  // By the first call, the branch may have got another name.
  if (!isAgain && typeof path?.name === 'string' && route.path.startsWith('/v1/branches/')) {
    expectBranch(route, path.name, place, caller);
  }
  const query = route.querySchema && checkInput(route.querySchema, request.query, 'query');
  const strict = route.unknownFields === 'reported' && prefersStrict(request);
  const { body, ignored } = bodyOf(route, request, strict);
  const call = { place, caller, path, query, body, raw, key: undefined };
  if (again === undefined || text === undefined) {
    return { answer: asAnswer(route, await route.work(call)), ignored, strict };
  }
  const { answer: done, replayed } = await place.keyed.once<unknown>(
    caller,
    sentKey(text, { id: route.id, path, query, body }),
    { first: (key) => route.work({ ...call, key }), again: (known) => again(call, known) },
  );
  const { status, body: said, headers } = asAnswer(route, done);
  const told = replayed ? { ...headers, 'idempotency-replayed': 'true' } : headers;
  return { answer: new Answer(status, said, told), ignored, strict };
}

function asAnswer(route: Route, done: unknown): Answer {
  return done instanceof Answer ? done : new Answer(firstStatus(route), done);
}

function rawBody({ raw }: FastifyRequest, reply: FastifyReply): RawBody {
  return {
    request: raw,
    onHangUp: (heard) => {
      const closed = () => {
        if (!reply.raw.writableFinished) heard();
      };
      reply.raw.once('close', closed);
      if (reply.raw.closed) closed();
      return () => reply.raw.off('close', closed);
    },
  };
}

function bodyOf(route: Route, { body, raw }: FastifyRequest, strict: boolean) {
  const { bodySchema } = route;
  if ((body === raw) !== (route.raw !== undefined)) throw wrongMedia(route);
  if (bodySchema === undefined) return { body: undefined, ignored: undefined };
  if (route.unknownFields !== 'reported') {
    return { body: checkInput(bodySchema, body, 'body'), ignored: undefined };
  }
  if (strict) return { body: checkInput(bodySchema, body, 'body'), ignored: [] };
  const { data, ignored } = checkKnownFields(bodySchema, body);
  return { body: data, ignored };
}

function wrongMedia({ raw }: Route) {
  return controlError(
    'media_type_unsupported',
    raw === undefined
      ? 'the body of the request is not said to be application/json'
      : `send ${raw} as the body, with "Content-Type: ${RAW_MEDIA_TYPE}"`,
    raw === undefined ? {} : { details: { action: `send the header "Content-Type: ${RAW_MEDIA_TYPE}"` } },
  );
}

/** Throws `forbidden`. */
function expectScope({ scopes, method, path }: Route, { scope }: Caller): void {
  if (scopes === 'public' || scope === 'admin' || scopes.includes(scope)) return;
  throw controlError('forbidden', `${method} ${path} is not for tokens of scope ${scope}`);
}

/** A caller who may do with every branch what they like is told by the work itself whether there is one. */
function expectBranch({ branchAccess = 'use' }: Route, name: string, place: ApiPlace, caller: Caller): void {
  if (caller.reach === undefined || branchAccess === 'later') return;
  place.control.branchFor(caller, name, branchAccess);
}

function firstStatus({ responses }: Route): number {
  return Number(Object.keys(responses)[0] ?? 200);
}

/** RFC 7240. */
function prefersStrict({ headers }: FastifyRequest): boolean {
  const prefer = [headers.prefer ?? []].flat().join(',');
  return prefer.split(',').some((each) => /^handling\s*=\s*"?strict"?$/i.test(each.trim()));
}
