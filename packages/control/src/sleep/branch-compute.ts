import type { Activity, Compute, Usage } from '@offshoot/client';
import type { ComputeEnd, ComputeSpec, Durability, RunningCompute, StopMode } from '@offshoot/compute';
import type { OpenBranch, OpenOptions } from '@offshoot/gateway';
import type { BranchUse } from '@offshoot/pageserver';
import type { OffshootError } from '@offshoot/types';
import { controlError } from '../control-errors.js';
import {
  asleep,
  type BranchEffect,
  type BranchEvent,
  type BranchLife,
  type BranchPhase,
  branchStep,
} from './branch-lifecycle.js';
import type { BranchKey, BranchSurroundings } from './branch-surroundings.js';
import { BranchUsage } from './branch-usage.js';
import { activityView, computeStates, type StopCause, sleepReason } from './branch-view.js';
import { abandoned, BranchWaiters } from './branch-waiters.js';
import { type ComputeFacts, computeFacts, endedFacts, usageView } from './compute-facts.js';
import type { RoomUser } from './compute-room.js';
import { RestWatch } from './rest-watch.js';
import { WakeRun } from './wake-run.js';

/** A compute that is awake. */
export interface Awake {
  readonly running: RunningCompute;
  /** On the clock. */
  readonly sinceMs: number;
  readonly durability: Durability;
}

/** The compute of one branch, sleeping or awake: carries out what the lifecycle's table says. */
export class BranchCompute implements RoomUser {
  #life: BranchLife = asleep;
  #awake: Awake | undefined;
  /** The last that there was. */
  #compute: ComputeFacts | undefined;
  readonly #waiters = new BranchWaiters<Awake>();
  #failure: unknown;
  readonly #wake: WakeRun;
  readonly #rest: RestWatch;
  readonly #usage: BranchUsage;
  #stopMode: StopMode = 'fast';
  #stopCause: StopCause = 'asked';
  /** Of whom it is being woken for. */
  #wantedDatabase: string | undefined;
  #holds = 0;
  #changed: (() => void)[] = [];

  constructor(
    private branch: BranchKey,
    private readonly around: BranchSurroundings,
  ) {
    this.#wake = new WakeRun(around);
    this.#rest = new RestWatch(around);
    this.#usage = new BranchUsage(branch, around);
  }

  get phase(): BranchPhase {
    return this.#life.phase;
  }

  get state(): Compute['state'] {
    return computeStates[this.phase];
  }

  get activity(): Activity {
    return activityView(this.phase, this.#life.connections, this.use);
  }

  /** Nothing is known of it that the catalog does not know. */
  get isBlank(): boolean {
    return (
      this.phase === 'asleep' && this.#life.waiters === 0 && this.#holds === 0 && this.#compute === undefined
    );
  }

  /** As long as it has not ended, one that is being stopped included. */
  get alive(): (Awake & { readonly state: Compute['state'] }) | undefined {
    return this.#awake && { ...this.#awake, state: this.state };
  }

  /** The running compute, or the last that there was. */
  get compute(): Compute | undefined {
    if (this.#compute === undefined) return undefined;
    const usage = this.usage;
    return {
      ...this.#compute,
      state: this.state,
      activity: this.activity,
      ...(usage === undefined ? {} : { usage }),
    };
  }

  get use(): BranchUse {
    return this.#usage.use;
  }

  /** While it runs. */
  get usage(): Usage | undefined {
    return usageView(this.#awake?.running);
  }

  /** Why the last one ended, unless it was asked to. */
  get reason(): string | undefined {
    return this.#compute?.reason;
  }

  get lastUsedMs(): number {
    return this.#usage.usedMs;
  }

  get standing(): RoomUser['standing'] {
    if (this.phase === 'asking' || this.phase === 'ending') return 'leaving';
    if (this.phase !== 'awake' || this.#life.connections > 0) return 'in use';
    const asleepNever = this.around.idleTimeoutSeconds(this.branch.id) === 0;
    return asleepNever || this.#rest.isBusy ? 'in use' : 'idle';
  }

  get group(): BranchKey['tenant'] {
    return this.branch.tenant;
  }

  giveWay(): void {
    this.#stopCause = 'room';
    this.#dispatch('rest_due');
  }

  /** Wakes it for a connection, which will ask for `database`, or gives it one at once. */
  async open({ signal, database, beforeWake }: OpenOptions): Promise<OpenBranch> {
    if (signal.aborted) throw abandoned(this.branch.name);
    const { clock, observer } = this.around;
    if (this.#isOutOfDate()) {
      this.#stopCause = 'renewal';
      this.#dispatch('rest_due');
    }
    // One that is asked because it is out of date is not given to those who come meanwhile.
    if (this.phase === 'awake' || (this.phase === 'asking' && this.#stopCause !== 'renewal')) {
      observer.opened('already_up', 0);
      return this.#connect(this.#expectAwake());
    }
    beforeWake?.();
    const beganMs = clock.now();
    if (this.#life.waiters === 0) this.#wantedDatabase = database;
    // Counted in the moment in which it is awake: nothing comes between that and the answer.
    return this.#wait(signal, (awake) => {
      observer.opened('cold', clock.now() - beganMs);
      return this.#connect(awake);
    });
  }

  /** Wakes it by hand. */
  async start(): Promise<Compute> {
    if (this.phase === 'awake' || this.phase === 'asking') {
      this.#usage.used();
      this.#dispatch('used');
    } else {
      if (this.#life.waiters === 0) this.#wantedDatabase = undefined;
      await this.#wait(undefined, () => undefined);
    }
    return this.compute ?? notRunning(this.branch.name, undefined);
  }

  /** Throws `compute_not_running`. */
  async stop(): Promise<{ compute: Compute; connectionsEnded: number }> {
    while (this.state === 'starting') await this.#change();
    const awake = this.#awake;
    if (awake === undefined) throw notRunning(this.branch.name, this.reason);
    const ended =
      this.state === 'running' ? await this.#rest.count(awake.running, () => this.#life.connections) : 0;
    if (this.#awake === awake && this.state === 'running') {
      this.#stopCause = 'asked';
      this.#stopMode = 'fast';
      this.#dispatch('stop');
    } else if (this.#awake !== awake) return this.stop();
    await awake.running.ended;
    return { compute: this.compute ?? notRunning(this.branch.name, undefined), connectionsEnded: ended };
  }

  /** The compute that takes connections, after a start under way; undefined: the next one is not begun yet. */
  async settled(): Promise<Awake | undefined> {
    while (this.phase === 'waking' || this.phase === 'giving_up') await this.#change();
    return this.state === 'running' ? this.#awake : undefined;
  }

  /** Nothing is started until `unhold`; a start under way is ended. */
  hold(): void {
    this.#holds += 1;
    if (this.#holds === 1) this.#dispatch('held');
  }

  unhold(): void {
    this.#holds -= 1;
    if (this.#holds === 0) this.#dispatch('unheld');
  }

  /**
   * While it is held: resolves when there is no compute and all that it said of its use is written down. Sessions hear the
   * farewell. Answers how many connections it ended.
   */
  async rest(farewell: string): Promise<number> {
    let ended = 0;
    while (!['asleep', 'crashed', 'gone'].includes(this.phase)) {
      const moved = this.#change();
      if (this.state === 'running') {
        ended += this.#life.connections;
        this.#stopCause = 'asked';
        this.#stopMode = 'fast';
        this.#sayFarewell(farewell);
        this.#dispatch('stop');
      }
      await moved;
    }
    await this.#usage.recorded;
    return ended;
  }

  #sayFarewell(message: string): void {
    try {
      this.#awake?.running.sayFarewell(message);
    } catch {
      // Its directory goes: it is ending, and Postgres has words of its own.
    }
  }

  /** The catalog says so: the branch goes on from another point. */
  useIs(use: BranchUse): void {
    this.#usage.set(use);
  }

  /** Ends it for good; whoever waits or comes later gets the reason. Resolves when nothing of it is left. */
  async condemn(reason: OffshootError, mode: StopMode): Promise<void> {
    this.#failure = reason;
    this.#stopMode = mode;
    this.#stopCause = 'asked';
    this.#dispatch('condemned');
    while (this.phase !== 'gone') await this.#change();
    await this.#usage.recorded;
  }

  /** What is said of it from now on. */
  rename(name: BranchKey['name']): void {
    this.branch = { ...this.branch, name };
    if (this.#compute !== undefined) this.#compute = { ...this.#compute, branch: name };
  }

  /** Another idle time was chosen. */
  retime(): void {
    if (this.phase === 'awake' && this.#life.connections === 0) this.#watchIdle();
    this.around.room.stir();
  }

  #wait<T>(signal: AbortSignal | undefined, take: (awake: Awake) => T): Promise<T> {
    if (this.#life.hold === 'condemned') return Promise.reject(this.#failure);
    if (this.#life.waiters === 0) this.#wake.wanted();
    const served = this.#waiters.add(this.branch.name, signal, take, () => this.#dispatch('withdrawn'));
    this.#dispatch('wanted');
    return served;
  }

  #connect({ running }: Awake): OpenBranch {
    this.#usage.connection();
    this.#dispatch('connected');
    let state: 'open' | 'released' = 'open';
    return {
      address: { host: running.host, port: running.port },
      release: () => {
        // Of a compute that has ended meanwhile there is nothing to count.
        if (state === 'released' || this.#awake?.running !== running) return;
        state = 'released';
        this.#usage.connection();
        this.#dispatch('released');
        this.around.room.stir();
      },
    };
  }

  #isOutOfDate(): boolean {
    const { clock, settings } = this.around;
    if (this.phase !== 'awake' || this.#life.connections > 0 || this.#awake === undefined) return false;
    const { running, sinceMs } = this.#awake;
    const newest = this.around.newestLsn(this.branch.id);
    return (
      newest !== undefined &&
      newest > running.baseLsn &&
      clock.now() - sinceMs >= settings.renewAfterSeconds * 1000
    );
  }

  #expectAwake(): Awake {
    return this.#awake ?? notRunning(this.branch.name, undefined);
  }

  #dispatch(event: BranchEvent): void {
    const { life, effects } = branchStep(this.#life, event);
    const moved = life.phase !== this.#life.phase;
    this.#life = life;
    for (const effect of effects) this.#carryOut[effect]();
    if (moved) for (const tell of this.#changed.splice(0)) tell();
  }

  readonly #carryOut: Readonly<Record<BranchEffect, () => void>> = {
    enter_queue: () => void this.#enterQueue(),
    leave_queue: () => this.#wake.leaveQueue(),
    start: () => void this.#start(),
    abort_start: () =>
      this.#wake.abortStart(new Error(`branch ${this.branch.name} is being deleted, reset or restored`)),
    serve_waiters: () => this.#serve(),
    fail_waiters: () => this.#waiters.failAll(this.#failure),
    watch_idle: () => this.#watchIdle(),
    unwatch_idle: () => this.#rest.unwatch(),
    ask: () => void this.#ask(),
    drop_question: () => this.#rest.dropQuestion(),
    stop: () => void this.#stop(),
    leave_room: () => this.#wake.leaveRoom(),
    forget: () => this.around.onGone(this.branch.id),
  };

  #enterQueue(): Promise<void> {
    return this.#wake.enterQueue(
      this,
      () => this.#dispatch('admitted'),
      (error) => {
        this.#failure = error;
        this.#dispatch('refused');
      },
    );
  }

  #start(): Promise<void> {
    return this.#wake.start(this.branch.id, this.#wantedDatabase, {
      walOpened: (start) => this.#usage.walOpened(start),
      up: (running, spec, phasesMs) => {
        this.#keep(running, spec);
        this.#usage.recordRoles(spec);
        this.#usage.woken(phasesMs);
        this.around.tell('woken', this.branch.id, { ms: Math.round(phasesMs.total) });
        this.around.observer.woken(phasesMs);
      },
      started: () => this.#dispatch('started'),
      failed: (error) => {
        // One that is condemned has its reason already.
        if (this.#life.hold !== 'condemned') this.#failure = error;
        this.#dispatch('start_failed');
      },
    });
  }

  #serve(): void {
    if (this.#awake !== undefined) this.#waiters.serveAll(this.#awake);
  }

  #watchIdle(): void {
    this.#rest.watch(this.#usage.usedMs, this.around.idleTimeoutSeconds(this.branch.id), () => {
      this.#stopCause = 'idle';
      this.#dispatch('rest_due');
    });
  }

  async #ask(): Promise<void> {
    const { running } = this.#expectAwake();
    const answer = await this.#rest.ask(running, (error) =>
      this.around.onUnanswered(this.branch.name, error),
    );
    if (answer === undefined) return;
    if (answer === 'at_work') this.#usage.used();
    this.#dispatch(answer);
    this.around.room.stir();
  }

  async #stop(): Promise<void> {
    const running = this.#awake?.running;
    // One that has just ended by itself is unknown to the driver; `ended` is settled then.
    if (running !== undefined)
      await this.around.driver.stop(running.id, this.#stopMode).catch(() => undefined);
  }

  #keep(running: RunningCompute, spec: ComputeSpec): void {
    const { durability = 'sync' } = spec;
    const awake: Awake = { running, durability, sinceMs: this.around.clock.now() };
    this.#awake = awake;
    this.#stopCause = 'asked';
    this.#usage.used();
    this.#usage.statementsOf(running);
    this.#compute = computeFacts(this.branch.name, running, spec);
    void running.ending.then(() => {
      if (this.#awake === awake) this.#dispatch('ending');
    });
    void running.ended.then((end) => this.#onEnd(end));
  }

  #onEnd(end: ComputeEnd): void {
    const idleSeconds = Math.round((this.around.clock.now() - this.#usage.usedMs) / 1000);
    this.#awake = undefined;
    if (this.#compute !== undefined) {
      const reason = end.state === 'crashed' ? end.reason : sleepReason(this.#stopCause, idleSeconds);
      this.#compute = endedFacts(this.#compute, reason);
    }
    this.#usage.slept();
    const why = this.#compute?.reason === undefined ? {} : { reason: this.#compute.reason };
    this.around.tell(end.state === 'crashed' ? 'crashed' : 'slept', this.branch.id, why);
    if (end.state === 'crashed') this.around.counters.crashes += 1;
    else if (this.#stopCause === 'room') this.around.counters.evictions += 1;
    this.#dispatch(end.state === 'crashed' ? 'crashed' : 'ended');
    if (end.state === 'crashed') this.around.onCrash(this.branch.name, end);
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#changed.push(resolve));
  }
}

export function notRunning(name: string, reason: string | undefined): never {
  const why = reason === undefined ? '' : ` (${reason})`;
  throw controlError('compute_not_running', `no compute is running on branch ${name}${why}`, {
    details: { action: `start one: pageserver-ctl compute start ${name}` },
  });
}
