import type { Compute } from '@offshoot/client';
import type { ComputeDriver, ComputeEnd, ComputeSpec, RunningCompute } from '@offshoot/compute';
import { type BranchName, formatLsn } from '@offshoot/types';
import { controlError } from './control-errors.js';
import { OneAtATime } from './one-at-a-time.js';

interface Entry {
  compute: Compute;
  running: RunningCompute | undefined;
}

/**
 * The computes of branches, at most one each: starts and stops of one branch happen one after the other, a second
 * start finds the first one's compute. How a compute ended stays readable until the next start.
 */
export class ComputeBook {
  readonly #entries = new Map<string, Entry>();
  readonly #queue = new OneAtATime();

  constructor(
    private readonly driver: ComputeDriver,
    private readonly onCrash: (branch: string, end: ComputeEnd) => void,
  ) {}

  /** Answers the branch's running compute, started now when there is none. */
  start(branch: BranchName, spec: ComputeSpec): Promise<Compute> {
    return this.#queue.run(branch, async () => {
      const entry = this.#entries.get(branch);
      if (entry?.compute.state === 'running') return entry.compute;
      const running = await this.driver.start(spec);
      return this.#keep(branch, running);
    });
  }

  /** Throws `compute_not_running`. */
  stop(branch: BranchName): Promise<Compute> {
    return this.#queue.run(branch, async () => {
      const running = this.running(branch);
      const entry = this.#entries.get(branch) as Entry;
      entry.compute = { ...entry.compute, state: 'stopping' };
      await this.driver.stop(running.id);
      await running.ended;
      return entry.compute;
    });
  }

  /** Stops the branch's compute if there is one and forgets it. Nothing can be started while `then` runs. */
  retire<T>(branch: BranchName, then: () => Promise<T>): Promise<T> {
    return this.#queue.run(branch, async () => {
      const running = this.#entries.get(branch)?.running;
      if (running !== undefined) {
        await this.driver.stop(running.id);
        await running.ended;
      }
      const result = await then();
      this.#entries.delete(branch);
      return result;
    });
  }

  state(branch: string): Compute['state'] {
    return this.#entries.get(branch)?.compute.state ?? 'stopped';
  }

  /** Throws `compute_not_running`. */
  running(branch: string): RunningCompute {
    const entry = this.#entries.get(branch);
    if (entry?.running !== undefined && entry.compute.state === 'running') return entry.running;
    const why = entry?.compute.reason === undefined ? '' : ` (${entry.compute.reason})`;
    throw controlError('compute_not_running', `no compute is running on branch ${branch}${why}`, {
      details: { action: `start one: pageserver-ctl compute start ${branch}` },
    });
  }

  list(): Compute[] {
    return [...this.#entries.values()].map((entry) => entry.compute);
  }

  #keep(branch: BranchName, running: RunningCompute): Compute {
    const compute: Compute = {
      id: running.id,
      branch,
      state: 'running',
      base_lsn: formatLsn(running.baseLsn),
      started_at: running.startedAt.toISOString(),
      timings_ms: { ...running.timings },
      socket_directory: running.socketDirectory,
      log_file: running.logFile,
    };
    const entry: Entry = { compute, running };
    this.#entries.set(branch, entry);
    void running.ended.then((end) => this.#onEnd(branch, entry, end));
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
    if (end.state === 'crashed') this.onCrash(branch, end);
  }
}
