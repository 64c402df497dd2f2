import { ApiError } from '../api-error.js';
import type { NewBranch, NewBranchRequest } from '../creation.js';
import type { NewDatabaseRequest } from '../databases.js';
import { type ClientOptions, type DumpBody, OffshootClient } from '../offshoot-client.js';
import type { Branch, Operation, RoleRequest } from '../schemas.js';
import { type Duration, seconds } from './duration.js';
import { AccessError, apiErrorOf, NotFoundError } from './errors.js';
import { Fork, type ForkCalls } from './fork.js';
import { type RetrySettings, retryDefaults, withRetries } from './retries.js';

export interface OffshootOptions extends Partial<ClientOptions> {
  /** What differs from `retryDefaults`. */
  readonly retry?: Partial<RetrySettings>;
}

export interface ForkOptions {
  /** The branch to start from; may be left out where there is only one tenant, or the token has only one parent. */
  readonly from?: string;
  /** `latest` (the default), `now`, an LSN, a time, `-5m`, or `@checkpoint`. */
  readonly at?: string;
  /** It expires after so long; default: the page server's setting, a week. */
  readonly ttl?: Duration;
  /** It does not expire. */
  readonly keep?: boolean;
  /** Default: one by chance. */
  readonly name?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** `warm`: answer when its compute runs. */
  readonly compute?: 'on_connect' | 'warm';
  /** `return`: get the one of that name when it is there already. */
  readonly ifExists?: 'fail' | 'return';
  /** Its own role; `null`: none, and production's roles log in. */
  readonly role?: RoleRequest | null;
}

/** Of a new database: as of a fork, but for where it starts. One of a dump takes neither `role` nor `compute: 'warm'`. */
export interface DatabaseOptions extends Omit<ForkOptions, 'from' | 'at' | 'ifExists'> {
  /** As pg_dump writes it: plain, custom or tar, also in gzip. Of a file, in Node.js: `await openAsBlob(path)`. */
  readonly fromDump?: DumpBody;
  /** Of a dump only. `stop`, the default: the first statement that fails ends it, and nothing is left. */
  readonly onError?: 'stop' | 'continue';
}

const POLL_MS = 500;

/**
 * Forks of a database, for agents and tests:
 *
 *     const db = new Offshoot({ url, token });
 *     await using fork = await db.fork({ from: 'prod', ttl: '15m' });
 *     const client = new pg.Client(fork.connectionString);
 *
 * Refusals are {@link ApiError}s by class and `code`; what the server says may succeed later is tried again.
 */
export class Offshoot {
  /** The API, one method per call, without retries. */
  readonly client: OffshootClient;
  readonly #calls: ForkCalls;

  /** `url` and `token` default to the environment's OFFSHOOT_URL and OFFSHOOT_TOKEN. Throws when there is none. */
  constructor({ retry, url, token, ...options }: OffshootOptions = {}) {
    const client = new OffshootClient({
      ...options,
      url: url ?? fromEnvironment('OFFSHOOT_URL', 'url'),
      token: token ?? fromEnvironment('OFFSHOOT_TOKEN', 'token'),
      errorOf: apiErrorOf,
    });
    const settings = { ...retryDefaults, ...retry };
    this.client = client;
    this.#calls = {
      client,
      read: (call) => withRetries(settings, options.signal, call),
      write: (call) => {
        // One key for all attempts: done once, whichever of them was heard.
        const key = crypto.randomUUID();
        return withRetries(settings, options.signal, () => call(key));
      },
    };
  }

  /** Makes a fork; its connection string works at once. */
  async fork(options: ForkOptions = {}): Promise<Fork> {
    const { ifExists, name } = options;
    const request = asRequest(options);
    if (ifExists === 'return' && name === undefined) throw new TypeError('ifExists "return" needs a name');
    const made =
      ifExists === 'return' && name !== undefined
        ? await this.#calls.read(() => this.client.createOrGetBranch(name, request))
        : await this.#calls.write((key) => this.client.createBranch(request, key));
    return this.#made(made);
  }

  #made(made: NewBranch): Fork {
    return new Fork(this.#calls, made.branch, {
      created: made.created,
      connectionString: made.dsn,
      dataAgeMs: made.data_age_ms,
      timingsMs: made.timings_ms,
    });
  }

  /**
   * Makes a database, empty or of a dump; its connection string works at once. A dump is sent once: what fails on the way is
   * not tried again, and leaves nothing.
   */
  async createDatabase({ fromDump, onError, ...options }: DatabaseOptions = {}): Promise<Fork> {
    const request = databaseRequest(options);
    if (fromDump === undefined && onError !== undefined)
      throw new TypeError('onError is of a dump: give fromDump');
    if (fromDump !== undefined) expectOfDump(options);
    if (fromDump !== undefined) return this.#load(fromDump, request, onError);
    const made = await this.#calls.write((key) => this.client.createDatabase(request, key));
    return this.#made(made);
  }

  async #load(
    dump: DumpBody,
    request: NewDatabaseRequest,
    onError: 'stop' | 'continue' | undefined,
  ): Promise<Fork> {
    const { name, labels, ttl_seconds, keep } = request as NewDatabaseRequest & { keep?: boolean };
    const choice = { name, labels, ttl_seconds, keep, on_error: onError };
    const given = Object.fromEntries(Object.entries(choice).filter(([, value]) => value !== undefined));
    const made = await this.client.createDatabaseFromDump(dump, given);
    const { operation } = made;
    if (operation !== undefined) {
      const ended = await this.#ended(operation);
      if (ended.error !== undefined) throw apiErrorOf(ended.error);
    }
    return this.#made(made);
  }

  async #ended(id: string): Promise<Operation> {
    for (;;) {
      const operation = await this.#calls.read(() => this.client.operation(id));
      if (operation.state !== 'running') return operation;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** The fork of that name or id. Its connection string has no password. */
  async get(fork: string): Promise<Fork> {
    const branch = await this.#calls.read(() => this.client.branch(fork));
    const found = await this.#calls.read(() => this.client.connectionString(branch.id)).catch(noConnection);
    return new Fork(this.#calls, branch, { created: false, connectionString: found?.url });
  }

  /** Branches that the token sees, by name; with all of the labels. */
  list(
    filter: { labels?: Record<string, string>; parent?: string; tenant?: string } = {},
  ): Promise<Branch[]> {
    return this.#calls.read(() => this.client.branches(filter));
  }

  /** Deletes a fork by its name or id; answers whether it was there. */
  async deleteFork(
    fork: string | { readonly id: string },
    options: { recursive?: boolean } = {},
  ): Promise<boolean> {
    const name = typeof fork === 'string' ? fork : fork.id;
    try {
      await this.#calls.read(() => this.client.deleteBranch(name, options));
      return true;
    } catch (error) {
      if (error instanceof NotFoundError && error.code === 'branch_not_found') return false;
      throw error;
    }
  }
}

function asRequest({ from, at, ttl, keep, name, labels, compute, role }: ForkOptions): NewBranchRequest {
  return {
    ...(name === undefined ? {} : { name }),
    ...(from === undefined ? {} : { from }),
    ...(at === undefined ? {} : { at }),
    ...(ttl === undefined ? {} : { ttl_seconds: seconds(ttl) }),
    ...(keep === undefined ? {} : { keep }),
    ...(labels === undefined ? {} : { labels: { ...labels } }),
    ...(compute === 'warm' ? { wait: 'compute' } : {}),
    role: role === undefined ? {} : role,
  };
}

/** What the call for a dump does not take is not overlooked. */
function expectOfDump({ role, compute }: DatabaseOptions): void {
  if (role !== undefined) throw new TypeError('a dump is loaded as a role of its own: leave role out');
  if (compute === 'warm') throw new TypeError('compute "warm" is not for a dump: leave compute out');
}

function databaseRequest(options: DatabaseOptions): NewDatabaseRequest {
  const { from: _, at: __, ...request } = asRequest(options);
  return request;
}

function fromEnvironment(variable: string, option: string): string {
  const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
  const value = process?.env?.[variable];
  if (value === undefined || value === '') throw new TypeError(`say ${option}, or set ${variable}`);
  return value;
}

/** The branch can be looked at, and not be connected to: by this token, or by any as there is no gateway. */
function noConnection(error: unknown): undefined {
  if (error instanceof AccessError || (error instanceof ApiError && error.code === 'gateway_off')) return;
  if (error instanceof ApiError && error.code === 'compute_not_running') return;
  throw error;
}
