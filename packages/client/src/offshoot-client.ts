import type { z } from 'zod';
import { ApiError, ConnectionError } from './api-error.js';
import { type Checkup, type CheckupRequest, checkup } from './checkup.js';
import {
  type ChangedBranch,
  changedBranch,
  type NewBranch,
  type NewBranchRequest,
  newBranch,
} from './creation.js';
import {
  type DatabaseFromDumpQuery,
  type NewDatabase,
  type NewDatabaseRequest,
  newDatabase,
} from './databases.js';
import { pathSegment } from './path-segment.js';
import { type BranchStorage, branchStorage, type UpdateTenantRequest } from './retention-schemas.js';
import * as schemas from './schemas.js';
import * as tokens from './tokens.js';

/** Where the management API is (`http://127.0.0.1:7070`) and the token that opens it. */
export interface ClientOptions {
  url: string;
  token: string;
  /** Longest wait for an answer, in milliseconds. */
  timeoutMs?: number;
  /** The same for calls that start, stop or delete something. Node.js' own fetch gives up after 300 s. */
  longTimeoutMs?: number;
  /** Aborting it ends every call under way. */
  signal?: AbortSignal;
  fetch?: typeof fetch;
  /** What a refusal is thrown as; default: {@link ApiError}. */
  errorOf?: (problem: schemas.Problem) => ApiError;
}

/** A dump as `fetch` takes it. Of a file, in Node.js: `await openAsBlob(path)`. */
export type DumpBody = Blob | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;

/** What there is to say of a database that a dump is loaded into. */
export type DumpChoice = Omit<DatabaseFromDumpQuery, 'label'> & { labels?: Readonly<Record<string, string>> };

/** Branches in one answer. */
const PAGE_MAX = 1000;
const timeoutMsDefault = 60_000;
const longTimeoutMsDefault = 290_000;

/** One method per call of the management API; failures are {@link ApiError} or {@link ConnectionError}. */
export class OffshootClient {
  readonly #url: string;
  readonly #token: string;
  readonly #timeoutMs: number;
  readonly #longTimeoutMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #fetch: typeof fetch;
  readonly #errorOf: (problem: schemas.Problem) => ApiError;

  constructor(options: ClientOptions) {
    this.#url = options.url.replace(/\/+$/, '');
    this.#token = options.token;
    this.#timeoutMs = options.timeoutMs ?? timeoutMsDefault;
    this.#longTimeoutMs = options.longTimeoutMs ?? longTimeoutMsDefault;
    this.#signal = options.signal;
    this.#fetch = options.fetch ?? ((...call) => fetch(...call));
    this.#errorOf = options.errorOf ?? ((problem) => new ApiError(problem));
  }

  status(): Promise<schemas.Status> {
    return this.#call('GET', '/v1/status', schemas.status);
  }

  /** Looks over the machine, and over a Postgres that is to be imported; nothing is changed there. */
  checkUp(request: CheckupRequest = {}): Promise<Checkup> {
    return this.#call('POST', '/v1/checkup', checkup, request);
  }

  /** Starts an import; watch it with {@link operation}. */
  importTenant(request: schemas.ImportTenantRequest): Promise<schemas.Operation> {
    return this.#call('POST', '/v1/tenants', schemas.operation, request);
  }

  async tenants(): Promise<schemas.Tenant[]> {
    return (await this.#call('GET', '/v1/tenants', schemas.tenantList)).tenants;
  }

  tenant(name: string): Promise<schemas.Tenant> {
    return this.#call('GET', `/v1/tenants/${pathSegment(name)}`, schemas.tenant);
  }

  /** What is not given stays as it is. */
  updateTenant(name: string, request: UpdateTenantRequest): Promise<schemas.Tenant> {
    return this.#call('PATCH', `/v1/tenants/${pathSegment(name)}`, schemas.tenant, request);
  }

  /** Starts a round of garbage collection; watch it with {@link operation}. */
  collectGarbage(name: string): Promise<schemas.Operation> {
    return this.#call('POST', `/v1/tenants/${pathSegment(name)}/gc`, schemas.operation);
  }

  /** Deletes the tenant with all its branches, computes and pages. */
  deleteTenant(name: string): Promise<schemas.Tenant> {
    return this.#call('DELETE', `/v1/tenants/${pathSegment(name)}`, schemas.tenant);
  }

  async operations(): Promise<schemas.Operation[]> {
    return (await this.#call('GET', '/v1/operations', schemas.operationList)).operations;
  }

  operation(id: string): Promise<schemas.Operation> {
    return this.#call('GET', `/v1/operations/${pathSegment(id)}`, schemas.operation);
  }

  cancelOperation(id: string): Promise<schemas.Operation> {
    return this.#call('DELETE', `/v1/operations/${pathSegment(id)}`, schemas.operation);
  }

  /** It gets no role of its own unless one is asked for. The same call with the same key makes one branch. */
  createBranch(request: NewBranchRequest, idempotencyKey?: string): Promise<NewBranch> {
    return this.#call('POST', '/v1/branches', newBranch, { role: null, ...request }, idempotencyKey);
  }

  /** The branch of that name, which is made when there is none. */
  createOrGetBranch(name: string, request: NewBranchRequest = {}): Promise<NewBranch> {
    const path = `/v1/branches/${pathSegment(name)}`;
    return this.#call('PUT', path, newBranch, { role: null, ...request });
  }

  /** An empty database, with a role of its own unless `role` is null. */
  createDatabase(request: NewDatabaseRequest = {}, idempotencyKey?: string): Promise<NewDatabase> {
    return this.#call('POST', '/v1/databases', newDatabase, request, idempotencyKey);
  }

  /**
   * A database that is loaded from a dump, which is sent as it is read. When the answer has an `operation`, the load goes on:
   * watch it with {@link operation}. Aborting `signal` before the answer gives it up. A stream can be sent once only, so this
   * is not a call to try again.
   */
  async createDatabaseFromDump(
    dump: DumpBody,
    { labels = {}, signal, ...choice }: DumpChoice & { signal?: AbortSignal } = {},
  ): Promise<NewDatabase> {
    const given = Object.entries(choice).filter(([, value]) => value !== undefined);
    const query = new URLSearchParams(given.map(([name, value]): [string, string] => [name, String(value)]));
    for (const [label, value] of Object.entries(labels)) query.append('label', `${label}=${value}`);
    const path = `/v1/databases/from-dump?${query}`;
    const signals = [this.#signal, signal].filter((each) => each !== undefined);
    const sent = { method: 'POST', body: dump, duplex: 'half', signal: AbortSignal.any(signals) };
    const headers = { authorization: `Bearer ${this.#token}`, 'content-type': 'application/octet-stream' };
    const response = await this.#fetch(`${this.#url}${path}`, { ...sent, headers } as RequestInit).catch(
      (cause: unknown) => {
        throw signal?.aborted
          ? new ConnectionError('interrupted', 'interrupted', { cause })
          : this.#unanswered(cause, 0);
      },
    );
    return await this.#answer(response, path, newDatabase);
  }

  /** All of them, or those that have all of the labels; by name. */
  async branches({
    labels = {},
    ...filter
  }: {
    labels?: Record<string, string>;
    parent?: string;
    tenant?: string;
  } = {}): Promise<schemas.Branch[]> {
    const all: schemas.Branch[] = [];
    const query = new URLSearchParams({ ...filter, limit: String(PAGE_MAX) });
    for (const [label, value] of Object.entries(labels)) query.append('label', `${label}=${value}`);
    for (;;) {
      const page = await this.#call('GET', `/v1/branches?${query}`, schemas.branchList);
      all.push(...page.branches);
      if (page.next_cursor === undefined) return all;
      query.set('cursor', page.next_cursor);
    }
  }

  branch(name: string): Promise<schemas.Branch> {
    return this.#call('GET', `/v1/branches/${pathSegment(name)}`, schemas.branch);
  }

  /** Also of one that is gone, by its last name or its id. */
  branchRecord(name: string): Promise<schemas.BranchLifeRecord> {
    return this.#call('GET', this.#pathOf(name, 'record'), schemas.branchLifeRecord);
  }

  /** What it has stored, measured now if that is quick. */
  branchStorage(name: string): Promise<BranchStorage> {
    return this.#call('GET', this.#pathOf(name, 'storage'), branchStorage);
  }

  updateBranch(name: string, request: schemas.UpdateBranchRequest): Promise<ChangedBranch> {
    return this.#call('PATCH', `/v1/branches/${pathSegment(name)}`, changedBranch, request);
  }

  /** `recursive`: with those that start from it. */
  deleteBranch(
    name: string,
    { recursive = false }: { recursive?: boolean } = {},
  ): Promise<schemas.DeletedBranch> {
    const path = `/v1/branches/${pathSegment(name)}${recursive ? '?recursive=true' : ''}`;
    return this.#call('DELETE', path, schemas.deletedBranch);
  }

  /** Its id, its children and the connections that it has stay; new ones name it by its new name. */
  renameBranch(name: string, to: string, idempotencyKey?: string): Promise<schemas.Branch> {
    return this.#call('POST', this.#pathOf(name, 'rename'), schemas.branch, { name: to }, idempotencyKey);
  }

  /** Goes on from its parent as that is now, or at a point of its history, under the same id and connection string. */
  resetBranch(
    name: string,
    request: schemas.ResetBranchRequest = {},
    idempotencyKey?: string,
  ): Promise<schemas.MovedBranch> {
    const path = this.#pathOf(name, 'reset');
    return this.#call('POST', path, schemas.movedBranch, request, idempotencyKey);
  }

  /** Goes on from a point of its own history, under the same id and connection string. */
  restoreBranch(
    name: string,
    request: schemas.RestoreBranchRequest,
    idempotencyKey?: string,
  ): Promise<schemas.MovedBranch> {
    const path = this.#pathOf(name, 'restore');
    return this.#call('POST', path, schemas.movedBranch, request, idempotencyKey);
  }

  /** What has become of branches, the oldest first: of one by its name or id, or of all. */
  async events(choice: { branch?: string; limit?: number } = {}): Promise<schemas.BranchEvent[]> {
    const query = new URLSearchParams(
      Object.entries(choice).map(([name, value]): [string, string] => [name, String(value)]),
    );
    return (await this.#call('GET', `/v1/events?${query}`, schemas.eventList)).events;
  }

  async checkpoints(branch: string): Promise<schemas.Checkpoint[]> {
    return (await this.#call('GET', this.#pathOf(branch, 'checkpoints'), schemas.checkpointList)).checkpoints;
  }

  createCheckpoint(
    branch: string,
    request: schemas.CreateCheckpointRequest,
    idempotencyKey?: string,
  ): Promise<schemas.Checkpoint> {
    const path = this.#pathOf(branch, 'checkpoints');
    return this.#call('POST', path, schemas.checkpoint, request, idempotencyKey);
  }

  deleteCheckpoint(branch: string, name: string): Promise<schemas.Checkpoint> {
    const path = `${this.#pathOf(branch, 'checkpoints')}/${pathSegment(name)}`;
    return this.#call('DELETE', path, schemas.checkpoint);
  }

  /** Gives a branch a role of its own; the answer has the password, this once. */
  createRole(branch: string, request: schemas.RoleRequest = {}): Promise<schemas.BranchCredentials> {
    return this.#call('POST', this.#rolePath(branch), schemas.branchCredentials, request);
  }

  /** Gives the branch's own role a new password, which the answer has, this once; the old one is refused from now on. */
  rotatePassword(
    branch: string,
    request: schemas.RotatePasswordRequest = {},
  ): Promise<schemas.BranchCredentials> {
    return this.#call('POST', `${this.#rolePath(branch)}/password`, schemas.branchCredentials, request);
  }

  /** Nobody can log in as the branch's own role any more, and its sessions end. */
  deleteRole(branch: string): Promise<schemas.Branch> {
    return this.#call('DELETE', this.#rolePath(branch), schemas.branch);
  }

  #rolePath(branch: string): string {
    return this.#pathOf(branch, 'role');
  }

  #pathOf(branch: string, what: string): string {
    return `/v1/branches/${pathSegment(branch)}/${what}`;
  }

  async tokens(): Promise<tokens.Token[]> {
    return (await this.#call('GET', '/v1/tokens', tokens.tokenList)).tokens;
  }

  /** The answer has its secret, this once. */
  createToken(request: tokens.CreateTokenRequest): Promise<tokens.CreatedToken> {
    return this.#call('POST', '/v1/tokens', tokens.createdToken, request);
  }

  /** By its id or name: from then on it is refused. */
  revokeToken(token: string): Promise<tokens.Token> {
    return this.#call('DELETE', `/v1/tokens/${pathSegment(token)}`, tokens.token);
  }

  /** Answers when a query on the compute has succeeded; a running one is returned as it is. */
  startCompute(branch: string): Promise<schemas.Compute> {
    return this.#call('POST', `/v1/branches/${pathSegment(branch)}/compute`, schemas.compute);
  }

  /** Ends its sessions, and says how many. */
  stopCompute(branch: string): Promise<schemas.StoppedCompute> {
    return this.#call('DELETE', `/v1/branches/${pathSegment(branch)}/compute`, schemas.stoppedCompute);
  }

  async computes(): Promise<schemas.Compute[]> {
    return (await this.#call('GET', '/v1/computes', schemas.computeList)).computes;
  }

  connectionString(
    branch: string,
    choice: { database?: string; user?: string; via?: schemas.ConnectVia } = {},
  ): Promise<schemas.ConnectionString> {
    const query = new URLSearchParams(choice).toString();
    const path = `/v1/branches/${pathSegment(branch)}/connection-string${query && `?${query}`}`;
    return this.#call('GET', path, schemas.connectionString);
  }

  async #call<T>(
    method: string,
    path: string,
    schema: z.ZodType<T>,
    body?: unknown,
    idempotencyKey?: string,
  ): Promise<T> {
    return await this.#answer(await this.#send(method, path, body, idempotencyKey), path, schema);
  }

  async #answer<T>(response: Response, path: string, schema: z.ZodType<T>): Promise<T> {
    const payload: unknown = await this.#payload(response);
    if (!response.ok) throw this.#refusal(response.status, payload);
    const parsed = schema.safeParse(payload);
    if (!parsed.success) {
      throw new ConnectionError(
        `${this.#url}${path} answered something unexpected; are both of one version?`,
        'no_connection',
        { cause: parsed.error },
      );
    }
    return parsed.data;
  }

  async #send(
    method: string,
    path: string,
    body: unknown,
    idempotencyKey: string | undefined,
  ): Promise<Response> {
    const headers: Record<string, string> = { authorization: `Bearer ${this.#token}` };
    if (body !== undefined) headers['content-type'] = 'application/json';
    if (idempotencyKey !== undefined) headers['idempotency-key'] = idempotencyKey;
    const timeoutMs = method === 'GET' ? this.#timeoutMs : this.#longTimeoutMs;
    const deadline = AbortSignal.timeout(timeoutMs);
    try {
      return await this.#fetch(`${this.#url}${path}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: this.#signal === undefined ? deadline : AbortSignal.any([deadline, this.#signal]),
      });
    } catch (cause) {
      throw this.#unanswered(cause, timeoutMs);
    }
  }

  /** Undefined when it is no JSON. */
  async #payload(response: Response): Promise<unknown> {
    let text: string;
    try {
      text = await response.text();
    } catch (cause) {
      throw this.#unanswered(cause, this.#longTimeoutMs);
    }
    try {
      return JSON.parse(text);
    } catch {
      return undefined;
    }
  }

  #unanswered(cause: unknown, timeoutMs: number): ConnectionError {
    if (this.#signal?.aborted) return new ConnectionError('interrupted', 'interrupted', { cause });
    if (cause instanceof Error && cause.name === 'TimeoutError') {
      const seconds = Math.round(timeoutMs / 1000);
      return new ConnectionError(`no answer from ${this.#url} within ${seconds} s`, 'no_answer_in_time', {
        cause,
      });
    }
    return new ConnectionError(
      `no answer from ${this.#url}; is the page server running there?`,
      'no_connection',
      { cause },
    );
  }

  #refusal(statusCode: number, payload: unknown): Error {
    const parsed = schemas.problem.safeParse(payload);
    if (parsed.success) return this.#errorOf(parsed.data);
    return new ConnectionError(`${this.#url} answered HTTP ${statusCode} and no reason; is it Offshoot's?`);
  }
}
