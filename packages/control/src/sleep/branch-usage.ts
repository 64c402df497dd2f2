import type { ComputeSpec, RunningCompute } from '@offshoot/compute';
import type { BranchUse } from '@offshoot/pageserver';
import type { BranchKey, BranchSurroundings } from './branch-surroundings.js';
import { walFrom } from './written-bytes.js';

/** How one branch is used, and that being written down. */
export class BranchUsage {
  #use: BranchUse;
  #usedMs: number;
  #recorded: Promise<void> = Promise.resolve();
  /** Of its compute, while there is one. */
  #statements: RunningCompute['statements'] | undefined;

  constructor(
    private readonly branch: BranchKey,
    private readonly around: Pick<BranchSurroundings, 'clock' | 'recordUse' | 'recordRoles'>,
  ) {
    this.#usedMs = around.clock.now();
    this.#use = branch.use ?? { wakes: 0 };
  }

  get use(): BranchUse {
    const { first, newest } = this.#statements?.() ?? {};
    if (newest === undefined) return this.#use;
    const firstQueryAt = this.#use.firstQueryAt ?? (first ?? newest).toISOString();
    return { ...this.#use, firstQueryAt, lastQueryAt: newest.toISOString() };
  }

  set(use: BranchUse): void {
    this.#use = use;
  }

  /** From now on statements begin there, as it tells. */
  statementsOf(running: Pick<RunningCompute, 'statements'>): void {
    this.#statements = () => running.statements();
  }

  /** When it was last in use, on the clock. */
  get usedMs(): number {
    return this.#usedMs;
  }

  /** Resolves when all that was to be written down is. */
  get recorded(): Promise<void> {
    return this.#recorded;
  }

  used(): void {
    this.#usedMs = this.around.clock.now();
  }

  connection(): void {
    this.used();
    const at = new Date(this.#usedMs).toISOString();
    this.#use = {
      ...this.#use,
      firstConnectionAt: this.#use.firstConnectionAt ?? at,
      lastConnectionAt: at,
    };
  }

  /** WAL of a compute comes in from here on, whether its start succeeds or not: what is before that was not written. */
  walOpened(start: Pick<RunningCompute, 'baseLsn' | 'walStart'>): void {
    this.#use = { ...this.#use, wal: walFrom(this.#use.wal, start) };
    this.record();
  }

  woken(phasesMs: Readonly<Record<string, number>>): void {
    const at = new Date(this.around.clock.now()).toISOString();
    this.#use = {
      ...this.#use,
      firstWakeAt: this.#use.firstWakeAt ?? at,
      wakes: this.#use.wakes + 1,
      lastWake: { at, phasesMs },
    };
    this.record();
  }

  /** Its compute has ended. */
  slept(): void {
    this.#use = { ...this.use, sleptAt: new Date(this.around.clock.now()).toISOString() };
    this.#statements = undefined;
    this.record();
  }

  /** In the order of its calls; nobody waits for it but the end. */
  record(): void {
    const { use } = this;
    this.#recorded = this.#recorded.then(() => this.around.recordUse(this.branch.id, use));
  }

  /** A compute has started with these roles. */
  recordRoles(spec: ComputeSpec): void {
    this.#recorded = this.#recorded.then(() => this.around.recordRoles(this.branch.id, spec));
  }
}
