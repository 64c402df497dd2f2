import type { Compute } from '@offshoot/client';
import type {
  ComputeDriver,
  ComputeEnd,
  ComputeSpec,
  Durability,
  RunningCompute,
  StopMode,
} from '@offshoot/compute';
import type { BranchId, BranchRecord } from '@offshoot/pageserver';
import { formatLsn } from '@offshoot/types';
import { controlError } from './control-errors.js';
import { OneAtATime } from './one-at-a-time.js';

interface Entry {
  compute: Compute;
  running: RunningCompute | undefined;
}

/** A compute whose process may still be there. */
export interface AliveCompute {
  readonly running: RunningCompute;
  readonly state: Compute['state'];
  readonly durability: Durability;
}

/** What the book has to know of a branch. Its id: a name may be given to another branch. */
type BranchKey = Pick<BranchRecord, 'id' | 'name'>;

/**
 * The computes of branches, at most one each: starts and stops of one branch happen one after the other, a second
 * start finds the first one's compute. How a compute ended stays readable until the next start.
 */
export class ComputeBook {
  readonly #entries = new Map<BranchId, Entry>();
  readonly #starting = new Map<BranchId, AbortController>();
  readonly #queue = new OneAtATime();
  readonly #counters = { starts: { succeeded: 0, failed: 0 }, crashes: 0 };

  constructor(
    private readonly driver: ComputeDriver,
    private readonly onCrash: (branch: string, end: ComputeEnd) => void,
  ) {}

  /**
   * Answers the branch's running compute, started now when there is none. `specOf` is asked when it is this start's
   * turn, and rejects when there can be no compute any more.
   */
  start(branch: BranchKey, specOf: () => Promise<ComputeSpec>): Promise<Compute> {
    return this.#queue.run(branch.id, async () => {
      const entry = this.#entries.get(branch.id);
      // One that is on its way out writes to the branch until it has ended.
      if (entry?.compute.state === 'stopping') await entry.running?.ended;
      if (entry?.compute.state === 'running') return entry.compute;
      const abort = new AbortController();
      this.#starting.set(branch.id, abort);
      try {
        const spec = await specOf();
        const compute = this.#keep(
          branch,
          await this.driver.start(spec, abort.signal),
          spec.durability ?? 'sync',
        );
        this.#counters.starts.succeeded += 1;
        return compute;
      } catch (thrown) {
        this.#counters.starts.failed += 1;
        throw thrown;
      } finally {
        this.#starting.delete(branch.id);
      }
    });
  }

  /** Throws `compute_not_running`. */
  stop(branch: BranchKey): Promise<Compute> {
    return this.#queue.run(branch.id, async () => {
      const entry = this.#runningEntry(branch);
      await this.#end(entry, 'fast');
      return entry.compute;
    });
  }

  /**
   * Ends the branch's compute, a starting one too, and forgets it. `decide` runs first, when it is its turn: what it
   * rejects with is the caller's, and the compute goes on. Nothing can be started in between.
   */
  retire<T>(branch: BranchKey, decide: () => Promise<T>): Promise<T> {
    this.#starting.get(branch.id)?.abort(new Error(`branch ${branch.name} is being deleted`));
    return this.#queue.run(branch.id, async () => {
      const result = await decide();
      const entry = this.#entries.get(branch.id);
      if (entry !== undefined) await this.#end(entry, 'immediate');
      this.#entries.delete(branch.id);
      return result;
    });
  }

  /** What happened since the start of the daemon. */
  get counters(): { readonly starts: { succeeded: number; failed: number }; readonly crashes: number } {
    return this.#counters;
  }

  /** How many branches have a compute in each state; one that never had any is in none. */
  countsByState(): Record<Compute['state'], number> {
    const counts = { starting: 0, running: 0, stopping: 0, stopped: 0, crashed: 0 };
    for (const branch of new Set([...this.#entries.keys(), ...this.#starting.keys()])) {
      counts[this.state(branch)] += 1;
    }
    return counts;
  }

  state(branch: BranchId): Compute['state'] {
    if (this.#starting.has(branch)) return 'starting';
    return this.#entries.get(branch)?.compute.state ?? 'stopped';
  }

  /** Throws `compute_not_running`. */
  running(branch: BranchKey): RunningCompute {
    return this.#runningEntry(branch).running;
  }

  /** The branch's compute as long as it has not ended, one that is being stopped included. */
  alive(branch: BranchId): AliveCompute | undefined {
    const entry = this.#entries.get(branch);
    if (entry?.running === undefined) return undefined;
    const { state, durability } = entry.compute;
    return { running: entry.running, state, durability };
  }

  list(): Compute[] {
    return [...this.#entries.values()].map((entry) => entry.compute);
  }

  #runningEntry({ id, name }: BranchKey): Entry & { running: RunningCompute } {
    const entry = this.#entries.get(id);
    if (entry !== undefined && hasProcess(entry) && entry.compute.state === 'running') return entry;
    if (this.#starting.has(id)) {
      throw controlError('compute_starting', `the compute of branch ${name} is starting`);
    }
    const why = entry?.compute.reason === undefined ? '' : ` (${entry.compute.reason})`;
    throw controlError('compute_not_running', `no compute is running on branch ${name}${why}`, {
      details: { action: `start one: pageserver-ctl compute start ${name}` },
    });
  }

  async #end(entry: Entry, mode: StopMode): Promise<void> {
    const { running } = entry;
    if (running === undefined) return;
    entry.compute = { ...entry.compute, state: 'stopping' };
    // One that has just ended by itself is unknown to the driver; `ended` is settled then.
    await Promise.race([running.ended, this.driver.stop(running.id, mode)]);
    await running.ended;
  }

  #keep({ id, name }: BranchKey, running: RunningCompute, durability: Durability): Compute {
    const compute: Compute = {
      id: running.id,
      branch: name,
      state: 'running',
      base_lsn: formatLsn(running.baseLsn),
      durability,
      started_at: running.startedAt.toISOString(),
      timings_ms: { ...running.timings },
      socket_directory: running.socketDirectory,
      log_file: running.logFile,
    };
    const entry: Entry = { compute, running };
    this.#entries.set(id, entry);
    void running.ended.then((end) => this.#onEnd(name, entry, end));
    return compute;
  }

  #onEnd(branch: string, entry: Entry, end: ComputeEnd): void {
    const { socket_directory: _gone, ...compute } = entry.compute;
    entry.compute = {
      ...compute,
      state: end.state,
      ...(end.state === 'crashed' ? { reason: end.reason } : {}),
    };
    entry.running = undefined;
    if (end.state === 'crashed') {
      this.#counters.crashes += 1;
      this.onCrash(branch, end);
    }
  }
}

function hasProcess(entry: Entry): entry is Entry & { running: RunningCompute } {
  return entry.running !== undefined;
}
