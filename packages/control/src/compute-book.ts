import type { Activity, Compute, Usage } from '@offshoot/client';
import type { Durability, RunningCompute } from '@offshoot/compute';
import type { OpenBranch, OpenOptions } from '@offshoot/gateway';
import type { BranchId, BranchUse } from '@offshoot/pageserver';
import type { OffshootError } from '@offshoot/types';
import { controlError } from './control-errors.js';
import { OneAtATime } from './one-at-a-time.js';
import { type Awake, BranchCompute, notRunning } from './sleep/branch-compute.js';
import type { BranchKey, BranchSurroundings } from './sleep/branch-surroundings.js';
import { activityView } from './sleep/branch-view.js';
import type { ComputeCounters } from './sleep/compute-counters.js';

/** A compute whose process may still be there. */
export interface AliveCompute {
  readonly running: RunningCompute;
  readonly state: Compute['state'];
  readonly durability: Durability;
}

/**
 * The computes of branches, at most one each, sleeping or awake. How a compute ended stays readable until the next
 * start.
 */
export class ComputeBook {
  readonly #computes = new Map<BranchId, BranchCompute>();
  readonly #decisions = new OneAtATime();
  #closed: OffshootError | undefined;

  constructor(private readonly around: Omit<BranchSurroundings, 'onGone'>) {}

  /** For a connection. Throws what the start failed with, and why there can be none. */
  open(branch: BranchKey, options: OpenOptions): Promise<OpenBranch> {
    return this.#with(branch, (compute) => compute.open(options));
  }

  /** Answers the branch's running compute, started now when there is none. */
  start(branch: BranchKey): Promise<Compute> {
    return this.#with(branch, (compute) => compute.start());
  }

  /** Throws `compute_not_running`. */
  async stop(branch: BranchKey): Promise<{ compute: Compute; connectionsEnded: number }> {
    const compute = this.#computes.get(branch.id);
    return compute === undefined ? notRunning(branch.name, undefined) : compute.stop();
  }

  /**
   * Ends the branch's compute, a starting one too, and forgets it. `decide` runs first, when it is its turn: what it
   * rejects with is the caller's, and the compute goes on. Nothing can be started in between; whoever waits for the
   * branch, or comes later, gets `gone`.
   */
  retire<T>(branch: BranchKey, gone: OffshootError, decide: () => Promise<T>): Promise<T> {
    const compute = this.#of(branch);
    compute.hold();
    return this.#decisions.run(branch.id, async () => {
      try {
        const result = await decide();
        await compute.condemn(gone, 'immediate');
        return result;
      } catch (error) {
        compute.unhold();
        this.#forgetBlank(branch.id, compute);
        throw error;
      }
    });
  }

  /**
   * Ends the branch's compute, a starting one too, and runs `work` when it is its turn, told how many connections of the
   * gateway ended; its sessions hear the farewell. Nothing is started in between; whoever waits for the branch, or comes meanwhile, gets what comes after.
   */
  interrupt<T extends { readonly use?: BranchUse | undefined }>(
    branch: BranchKey,
    farewell: string,
    work: (connectionsEnded: number) => Promise<T>,
  ): Promise<T> {
    const compute = this.#of(branch);
    compute.hold();
    return this.#decisions.run(branch.id, async () => {
      try {
        const result = await work(await compute.rest(farewell));
        compute.useIs(result.use ?? { wakes: 0 });
        return result;
      } finally {
        compute.unhold();
        this.#forgetBlank(branch.id, compute);
      }
    });
  }

  /** There may be a compute of it, or somebody who waits for one. */
  knows(branch: BranchId): boolean {
    return this.#computes.has(branch);
  }

  /** It is called otherwise from now on. */
  rename({ id, name }: Pick<BranchKey, 'id' | 'name'>): void {
    this.#computes.get(id)?.rename(name);
  }

  /** What happened since the start of the daemon. */
  get counters(): ComputeCounters {
    return this.around.counters;
  }

  /** How many branches have a compute in each state; one that never had any is in none. */
  countsByState(): Record<Compute['state'], number> {
    const counts = { starting: 0, running: 0, stopping: 0, stopped: 0, crashed: 0 };
    for (const { compute, state } of this.#computes.values()) {
      if (compute !== undefined || state === 'starting') counts[state] += 1;
    }
    return counts;
  }

  /** The same by what they are at; those that are asleep are not all known. */
  countsByActivity(): Record<Activity['state'], number> {
    const counts = { asleep: 0, waking: 0, awake: 0, going_to_sleep: 0, crashed: 0 };
    for (const { activity } of this.#computes.values()) counts[activity.state] += 1;
    return counts;
  }

  /** Another idle time was chosen for the branch. */
  retime(branch: BranchId): void {
    this.#computes.get(branch)?.retime();
  }

  state(branch: BranchId): Compute['state'] {
    return this.#computes.get(branch)?.state ?? 'stopped';
  }

  activity({ id, use }: BranchKey): Activity {
    return this.#computes.get(id)?.activity ?? activityView('asleep', 0, use);
  }

  /** As it is now; the catalog learns of it a moment later. */
  use({ id, use }: BranchKey): BranchUse | undefined {
    return this.#computes.get(id)?.use ?? use;
  }

  usage(branch: BranchId): Usage | undefined {
    return this.#computes.get(branch)?.usage;
  }

  /** Throws `compute_not_running`, `compute_starting`. */
  running({ id, name }: BranchKey): RunningCompute {
    const compute = this.#computes.get(id);
    const alive = compute?.alive;
    if (alive?.state === 'running') return alive.running;
    if (compute?.state === 'starting') {
      throw controlError('compute_starting', `the compute of branch ${name} is starting`);
    }
    return notRunning(name, compute?.reason);
  }

  /** See {@link BranchCompute.settled}. */
  async settled(branch: BranchId): Promise<Awake | undefined> {
    return this.#computes.get(branch)?.settled();
  }

  /** The branch's compute as long as it has not ended, one that is being stopped included. */
  alive(branch: BranchId): AliveCompute | undefined {
    return this.#computes.get(branch)?.alive;
  }

  /** Computes that take connections, with their branches. */
  awake(): { readonly branch: BranchId; readonly running: RunningCompute }[] {
    return [...this.#computes].flatMap(([branch, { alive }]) =>
      alive?.state === 'running' ? [{ branch, running: alive.running }] : [],
    );
  }

  list(): Compute[] {
    return [...this.#computes.values()].flatMap(({ compute }) => (compute === undefined ? [] : [compute]));
  }

  /** Ends all computes; whoever waits for one, or comes later, gets the reason. */
  async close(reason: OffshootError): Promise<void> {
    this.#closed ??= reason;
    await Promise.all([...this.#computes.values()].map((compute) => compute.condemn(reason, 'fast')));
  }

  async #with<T>(branch: BranchKey, work: (compute: BranchCompute) => Promise<T>): Promise<T> {
    const compute = this.#of(branch);
    try {
      return await work(compute);
    } finally {
      this.#forgetBlank(branch.id, compute);
    }
  }

  #of(branch: BranchKey): BranchCompute {
    if (this.#closed !== undefined) throw this.#closed;
    const known = this.#computes.get(branch.id);
    if (known !== undefined) return known;
    const compute = new BranchCompute(branch, {
      ...this.around,
      onGone: (id) => {
        if (this.#computes.get(id) === compute) this.#computes.delete(id);
      },
    });
    this.#computes.set(branch.id, compute);
    return compute;
  }

  /** A branch that is gone by now would stay in the book for ever. */
  #forgetBlank(id: BranchId, compute: BranchCompute): void {
    if (compute.isBlank && this.#computes.get(id) === compute) this.#computes.delete(id);
  }
}
