import type { Checkpoint } from '../branch-life.js';
import type { OffshootClient } from '../offshoot-client.js';
import type { Branch, MovedBranch } from '../schemas.js';
import { type Duration, seconds } from './duration.js';
import { NotFoundError } from './errors.js';

/** How a fork's calls are made: again when that may help, and POSTs under a key, so that they are done once. */
export interface ForkCalls {
  readonly client: OffshootClient;
  read<T>(call: () => Promise<T>): Promise<T>;
  write<T>(call: (idempotencyKey: string) => Promise<T>): Promise<T>;
}

/** What the answer to its creation said besides the branch. */
export interface ForkFacts {
  readonly created: boolean;
  readonly connectionString: string | undefined;
  /** How old its data was against its source's; undefined when that is not known. */
  readonly dataAgeMs?: number | undefined;
  /** Phases of its creation, in milliseconds. */
  readonly timingsMs?: Readonly<Record<string, number>> | undefined;
}

/** A branch. Its id and connection string stay the same when it is reset, restored or renamed. */
export class Fork implements AsyncDisposable {
  #branch: Branch;

  constructor(
    private readonly calls: ForkCalls,
    branch: Branch,
    private readonly facts: ForkFacts,
  ) {
    this.#branch = branch;
  }

  get id(): string {
    return this.#branch.id;
  }

  get name(): string {
    return this.#branch.name;
  }

  /** All that the page server said of it last. */
  get branch(): Branch {
    return this.#branch;
  }

  /** `false`: it was there before. */
  get created(): boolean {
    return this.facts.created;
  }

  get baseLsn(): string {
    return this.#branch.base_lsn;
  }

  get dataAgeMs(): number | undefined {
    return this.facts.dataAgeMs;
  }

  get timingsMs(): Readonly<Record<string, number>> {
    return this.facts.timingsMs ?? {};
  }

  get expiresAt(): Date | undefined {
    const { expires_at: at } = this.#branch;
    return at === undefined ? undefined : new Date(at);
  }

  /**
   * For any Postgres driver. It has the password when this object made the fork; of one that was got it names the role
   * only. Throws when the page server has no gateway and the fork's compute does not run.
   */
  get connectionString(): string {
    const { connectionString } = this.facts;
    if (connectionString !== undefined) return connectionString;
    throw new Error(
      `there is no way to ${this.name}: the page server has no gateway, and its compute does not run`,
    );
  }

  /** Goes on from its parent as that is now, or from `at` in its parent's history. What was written on it is gone. */
  async reset(choice: { at?: string; preserveAs?: string } = {}): Promise<MovedBranch> {
    return this.#moved(
      await this.calls.write((key) => this.calls.client.resetBranch(this.id, asMove(choice), key)),
    );
  }

  /**
   * Goes on from a point of its own history: a checkpoint's name, or `at`. The state before stays as another branch
   * (`preserved` in the answer) unless `preserve` is false.
   */
  async restore(to: string | { at: string; preserveAs?: string; preserve?: boolean }): Promise<MovedBranch> {
    const { at, preserve, ...choice } = typeof to === 'string' ? { at: `@${to}` } : to;
    const request = { at, ...asMove(choice), ...(preserve === undefined ? {} : { preserve }) };
    return this.#moved(
      await this.calls.write((key) => this.calls.client.restoreBranch(this.id, request, key)),
    );
  }

  /** Gives this moment a name, to {@link restore} it by; by default one by chance. */
  checkpoint(name = `checkpoint-${crypto.randomUUID()}`): Promise<Checkpoint> {
    return this.calls.write((key) => this.calls.client.createCheckpoint(this.id, { name }, key));
  }

  checkpoints(): Promise<Checkpoint[]> {
    return this.calls.read(() => this.calls.client.checkpoints(this.id));
  }

  /** It expires so long from now, and no earlier; `never`: it does not. */
  async extend(ttl: Duration | 'never'): Promise<void> {
    const request = ttl === 'never' ? { expires_at: null } : { ttl_seconds: seconds(ttl) };
    this.#branch = await this.calls.read(() => this.calls.client.updateBranch(this.id, request));
  }

  /** Asks the page server for what it is now. */
  async refresh(): Promise<Branch> {
    this.#branch = await this.calls.read(() => this.calls.client.branch(this.id));
    return this.#branch;
  }

  /** Deletes it; one that is gone already is no error. `recursive`: with the forks that were made of it. */
  async destroy(options: { recursive?: boolean } = {}): Promise<void> {
    try {
      await this.calls.read(() => this.calls.client.deleteBranch(this.id, options));
    } catch (error) {
      if (!(error instanceof NotFoundError && error.code === 'branch_not_found')) throw error;
    }
  }

  /** `await using`: destroyed at the end of the block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.destroy();
  }

  #moved(moved: MovedBranch): MovedBranch {
    this.#branch = moved.branch;
    return moved;
  }
}

function asMove({ at, preserveAs }: { at?: string; preserveAs?: string }) {
  return {
    ...(at === undefined ? {} : { at }),
    ...(preserveAs === undefined ? {} : { preserve_as: preserveAs }),
  };
}
