import type { IncomingMessage } from 'node:http';
import type { TokenScope } from '@offshoot/client';
import type { z } from 'zod';
import type { BranchAccess, Caller } from '../access/caller.js';
import type { ApiPlace } from './api-place.js';
import type { CallKey, KnownCall } from './keyed-calls.js';

/** Of bodies that are taken as they come. */
export const RAW_MEDIA_TYPE = 'application/octet-stream';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** One of a route's good answers. */
export interface RouteResponse {
  readonly description: string;
  /** Of a JSON body; absent: it is text. */
  readonly schema?: z.ZodType | undefined;
}

/** A body that is taken as it comes. */
export interface RawBody {
  readonly request: IncomingMessage;
  /** `heard` is called when the caller is gone before there was an answer; answers what takes that back. */
  onHangUp(heard: () => void): () => void;
}

/** A call as a route's work sees it: checked, and by somebody who may make it. */
export interface Call<Path, Query, Body> {
  readonly place: ApiPlace;
  readonly caller: Caller;
  readonly path: Path;
  readonly query: Query;
  readonly body: Body;
  /** Of a route that takes `raw` bodies. */
  readonly raw: RawBody | undefined;
  /** Of a route that takes one: the work has it written with what it does. */
  readonly key: CallKey | undefined;
}

/** An answer with another status than the route's first, or with headers. */
export class Answer {
  constructor(
    readonly status: number,
    readonly body: unknown,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {}
}

interface RouteFacts {
  readonly method: Method;
  /** As OpenAPI writes it: `/v1/branches/{name}`. */
  readonly path: string;
  /** `operationId`: a verb and what it is about. */
  readonly id: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string | undefined;
  /** Scopes of tokens that may call it besides `admin`; `public`: whoever comes, without a token. */
  readonly scopes: readonly Exclude<TokenScope, 'admin'>[] | 'public';
  /**
   * What a token of scope `branch` must be able to do with the branch `{name}` of the path. Default: `use`. `later`: the
   * route's work asks.
   */
  readonly branchAccess?: BranchAccess | 'later' | undefined;
  /**
   * What becomes of fields of the body that nobody knows. `reported`: the call is done, and the answer has them as
   * `ignored_fields`. `refused`, the default: the call is refused.
   */
  readonly unknownFields?: 'reported' | 'refused' | undefined;
  /** In place of JSON it takes bytes, which its work reads as they come: what they are. */
  readonly raw?: string | undefined;
  /** By status; the first is what a work that answers no {@link Answer} is answered with. */
  readonly responses: Readonly<Record<number, RouteResponse>>;
  /** Codes that it may be refused with besides those of every route. */
  readonly errors: readonly string[];
}

/** A route of the management API: all that fastify and the OpenAPI document need to know of it. */
export interface Route extends RouteFacts {
  readonly pathSchema?: z.ZodObject | undefined;
  readonly querySchema?: z.ZodObject | undefined;
  readonly bodySchema?: z.ZodType | undefined;
  /** Methods: they may want of a call what the schemas say, and not just `unknown`. Whoever calls them has checked that. */
  work(call: Call<unknown, unknown, unknown>): unknown;
  /** It takes an `Idempotency-Key`, and this answers the same call again. */
  again?(call: Call<unknown, unknown, unknown>, known: KnownCall): unknown;
}

type Parsed<Schema> = Schema extends z.ZodType ? z.infer<Schema> : undefined;

/** A route whose work gets what its schemas say. */
export function route<
  Path extends z.ZodObject | undefined = undefined,
  Query extends z.ZodObject | undefined = undefined,
  Body extends z.ZodType | undefined = undefined,
>(
  facts: RouteFacts & {
    pathSchema?: Path;
    querySchema?: Query;
    bodySchema?: Body;
    work: (call: Call<Parsed<Path>, Parsed<Query>, Parsed<Body>>) => unknown;
    again?: (call: Call<Parsed<Path>, Parsed<Query>, Parsed<Body>>, known: KnownCall) => unknown;
  },
): Route {
  return facts;
}
