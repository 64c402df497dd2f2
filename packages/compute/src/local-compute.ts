import { join } from 'node:path';
import { type Lsn, OffshootError } from '@offshoot/types';
import { applyBranchRoles, type BranchRoles, type OpenSessions } from './branch-roles/branch-roles.js';
import type { ComputeEnd, ComputeSpec, ComputeTimings, ConnectAs, StopMode } from './compute-driver.js';
import { computeError } from './compute-errors.js';
import { type ComputeEffect, type ComputeEvent, type ComputeState, transition } from './compute-lifecycle.js';
import { type ComputePaths, computePaths } from './compute-paths.js';
import { parameterArguments } from './configuration.js';
import { isPortTaken } from './free-ports.js';
import type { ComputeSize } from './isolation/compute-size.js';
import type { ComputeUsage } from './isolation/governor.js';
import type { ComputeBounds } from './isolation/isolation.js';
import type { WriteRefusal } from './limits-file.js';
import type { LocalComputeHost } from './local-compute-host.js';
import { logTail } from './log-file.js';
import { openToOwner } from './open-to-owner.js';
import type { SocketAddress } from './own-session.js';
import { formatExit, PostgresProcess } from './postgres-process.js';
import { type PreparedCompute, prepareCompute } from './prepare-compute.js';
import { quietSubscriptions } from './quiet-subscriptions.js';
import { awaitReady, type FurtherSteps, type Readiness } from './readiness.js';
import { removeLeftovers } from './remove-leftovers.js';
import { type SpareDirectory, socketDirectoryOf } from './spare-directories.js';
import type { StatementsFile, StatementTimes } from './statements-file.js';
import { WalReceiving } from './wal-receiving.js';
import { WriteRefusals } from './write-refusals.js';

/** What a start that succeeded found. */
export interface LocalComputeStart {
  readonly pid: number;
  readonly connectedAs: ConnectAs;
  readonly timings: ComputeTimings;
  readonly walStart: Lsn;
}

/** Lines of the log that the reason of a crash quotes. */
const CRASH_LOG_LINES = 5;
/** Ports that are tried when others take the chosen one before Postgres does. */
const PORT_ATTEMPTS_MAX = 5;

/** One compute as a process of this machine: carries out what the lifecycle's table says. */
export class LocalCompute {
  readonly paths: ComputePaths;
  readonly socketDirectory: string;
  readonly startedAt = new Date();
  /** Never rejects. */
  readonly ending: Promise<void>;
  /** Never rejects. */
  readonly ended: Promise<ComputeEnd>;
  #state: ComputeState = 'starting';
  #port = 0;
  #process: PostgresProcess | undefined;
  #stopMode: StopMode = 'immediate';
  #stopDeadline: NodeJS.Timeout | undefined;
  /** Why its WAL cannot be kept any more. */
  #walFailure: OffshootError | undefined;
  #bounds: ComputeBounds | undefined;
  readonly #refusals: WriteRefusals;
  #statements: StatementsFile | undefined;
  /** Which limit it went beyond, so that it is ended. */
  #exceeded: string | undefined;
  readonly #abort = new AbortController();
  #resolveEnding: () => void = () => undefined;
  #resolveEnded: (end: ComputeEnd) => void = () => undefined;

  constructor(
    readonly id: string,
    readonly spec: ComputeSpec,
    private readonly host: LocalComputeHost,
    /** Of this id. */
    private readonly spare?: SpareDirectory | undefined,
  ) {
    this.paths = computePaths(host.places, id);
    this.#refusals = new WriteRefusals(spec.refuseWrites);
    this.socketDirectory = socketDirectoryOf(host.places, id, host.osUser);
    this.ending = new Promise((resolve) => {
      this.#resolveEnding = resolve;
    });
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
  }

  get state(): ComputeState {
    return this.#state;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  get address(): SocketAddress {
    return { socketDirectory: this.socketDirectory, port: this.#port };
  }

  /** Once. When it throws, the compute has ended and is cleaned up. */
  async start(callerSignal?: AbortSignal): Promise<LocalComputeStart> {
    const timer = setTimeout(() => this.#giveUp(), this.host.limits.startTimeoutMs);
    const own = this.#abort.signal;
    const signal = callerSignal === undefined ? own : AbortSignal.any([own, callerSignal]);
    try {
      signal.throwIfAborted();
      // Nobody else is let in before that.
      const start = await this.#refusals.exempt(() => this.#start(signal));
      signal.throwIfAborted();
      this.#dispatch('answered');
      if (this.#hasExited()) {
        // Between its answer and now: until then its end was the start's to see.
        this.#dispatch('exited');
      }
      if (this.#walFailure !== undefined || this.#exceeded !== undefined) {
        // In the last moment of the start, when the table did not expect it.
        this.#dispatch('given_up');
      }
      return start;
    } catch (error) {
      this.#dispatch(this.#hasExited() ? 'exited' : 'stop_requested');
      await this.ended;
      throw this.#asStartError(error, callerSignal);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends it because of what it uses. All that was committed stays; sessions are told that it ends. */
  exceed(reason: string): void {
    if (this.#exceeded !== undefined) return;
    this.#exceeded = reason;
    // An orderly end takes time in which it goes on; where no commit waited, it is what saves the last ones.
    this.#stopMode = this.spec.durability === 'async' ? 'fast' : 'immediate';
    this.#dispatch('given_up');
  }

  resize(cpu: Pick<ComputeSize, 'cpuMin' | 'cpuMax'>): void {
    this.host.governor.resize(this.id, cpu);
  }

  usage(): ComputeUsage | undefined {
    return this.host.governor.usage(this.id);
  }

  statements(): StatementTimes {
    return this.#statements?.read() ?? { first: undefined, newest: undefined };
  }

  sayFarewell(message: string): void {
    this.#refusals.farewell(message);
  }

  refuseWrites(refusal: WriteRefusal | undefined): void {
    this.#refusals.set(refusal);
  }

  /** Its roles are made what they shall be. */
  async applyRoles(
    as: ConnectAs,
    roles: BranchRoles,
    sessions: OpenSessions,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#refusals.exempt(() => applyBranchRoles(this.address, as, roles, signal, sessions));
  }

  /** Answers when nothing of it is left but its log. */
  stop(mode: StopMode): Promise<ComputeEnd> {
    this.#stopMode = mode;
    this.#dispatch('stop_requested');
    return this.ended;
  }

  async #start(signal: AbortSignal): Promise<LocalComputeStart> {
    const began = performance.now();
    const { paths, socketDirectory, spec, id, host, spare } = this;
    // Found while the base backup comes.
    const port = host.ports.take();
    port.catch(() => undefined);
    const prepared = await prepareCompute({ id, spec, host, paths, socketDirectory, spare, signal });
    this.#refusals.open(prepared.limitsFile);
    this.#statements = prepared.statementsFile;
    await spec.wal?.open(prepared.walStart);
    await openToOwner(paths, host.osUser);
    this.#port = await port;
    spec.wal?.failed.then((failure) => {
      this.#walFailure = failure;
      this.#dispatch('given_up');
    });
    const ready = performance.now();
    const { process, spawned, readiness } = await this.#startPostgres(prepared, signal);
    const { connectedAs, readyAtMs, answeredAtMs } = readiness;
    const kept = performance.now();
    if (spec.roles !== undefined) {
      await applyBranchRoles(this.address, connectedAs, spec.roles, signal);
    }
    const done = performance.now();
    const timings = {
      base_backup: prepared.baseBackupMs,
      configure: prepared.configureMs,
      spawn: spawned - ready,
      postmaster: readyAtMs - spawned,
      first_query: answeredAtMs - readyAtMs,
      wal: kept - answeredAtMs,
      roles: done - kept,
      total: done - began,
    };
    return { pid: process.pid, connectedAs, timings, walStart: prepared.walStart };
  }

  /** With a free port; one that somebody takes meanwhile is not the last. */
  async #startPostgres(prepared: PreparedCompute, signal: AbortSignal) {
    for (let attempt = 1; ; attempt += 1) {
      signal.throwIfAborted();
      const process = await this.#spawn(prepared);
      const spawned = performance.now();
      try {
        return { process, spawned, readiness: await this.#awaitReady(process, signal) };
      } catch (error) {
        if (attempt === PORT_ATTEMPTS_MAX || !isPortTaken(error)) {
          throw error;
        }
        this.#port = await this.host.ports.take();
      }
    }
  }

  #awaitReady(process: PostgresProcess, signal: AbortSignal): Promise<Readiness> {
    const { dataDirectory, logFile } = this.paths;
    const { address, spec } = this;
    const { connectAs, firstDatabase } = spec;
    const receiving = this.#receiving();
    const further: FurtherSteps = {
      begin: () => receiving?.begin(),
      finish: async (client, as, ownSignal) => {
        await receiving?.finish(client, ownSignal);
        // Nothing can be changed on a standby, nor can anybody there make subscriptions do anything.
        if (spec.access !== 'read_only') await quietSubscriptions(client, address, as, ownSignal);
      },
    };
    const asked = { connectAs, firstDatabase };
    return awaitReady({ process, dataDirectory, logFile, ...address, ...asked, signal, further });
  }

  #receiving(): WalReceiving | undefined {
    const { wal, durability = 'sync', connectAs } = this.spec;
    const [first] = connectAs;
    if (wal === undefined || first === undefined) {
      return undefined;
    }
    return new WalReceiving({ wal, durability, address: this.address, user: first.user });
  }

  async #spawn(prepared: PreparedCompute): Promise<PostgresProcess> {
    const { dataDirectory, logFile } = this.paths;
    const postgres = await PostgresProcess.spawn({
      program: join(this.host.installation.bindir, 'postgres'),
      args: ['-D', dataDirectory, ...parameterArguments(prepared.fixedParameters(this.#port))],
      workingDirectory: dataDirectory,
      environment: prepared.environment,
      osUser: this.host.osUser,
      logFile,
      standardInput: 'none',
    });
    this.#process = postgres;
    this.#confine(postgres.pid, prepared.size);
    postgres.exited.then(() => {
      // While it starts, its start decides whether another attempt follows.
      if (this.#state !== 'starting') this.#dispatch('exited');
    });
    return postgres;
  }

  /** At once, before it starts others; what they may be is bounded with it. */
  #confine(pid: number, size: ComputeSize): void {
    const { isolation, governor } = this.host;
    this.#bounds = isolation.confine(this.id, pid, size);
    governor.add(this.id, this.#bounds, size, (reason) => this.exceed(reason));
  }

  #hasExited(): boolean {
    return this.#process === undefined || this.#process.exit !== undefined;
  }

  #dispatch(event: ComputeEvent): void {
    const { state, effects } = transition(this.#state, event);
    this.#state = state;
    if (state !== 'starting' && state !== 'running') this.#resolveEnding();
    for (const effect of effects) {
      this.#carryOut(effect);
    }
  }

  #carryOut(effect: ComputeEffect): void {
    switch (effect) {
      case 'abort_start':
        this.#abort.abort(
          computeError('compute_start_cancelled', 'the compute was stopped while it started'),
        );
        return;
      case 'arm_stop_deadline':
        this.#stopDeadline = setTimeout(
          () => this.#dispatch('stop_deadline'),
          this.host.limits.stopTimeoutMs,
        );
        return;
      case 'disarm_stop_deadline':
        clearTimeout(this.#stopDeadline);
        return;
      case 'signal_stop':
        this.#process?.signal(this.#stopMode === 'immediate' ? 'SIGQUIT' : 'SIGINT');
        return;
      case 'kill_all':
        // Its children follow in the clean-up: they cannot be told from others' by anything but where they work.
        this.#process?.signal('SIGKILL');
        this.#bounds?.kill();
        return;
      case 'clean_up':
        this.#cleanUp(this.#state === 'crashed' ? 'crashed' : 'stopped');
    }
  }

  /** Never rejects: what cannot be removed is named in the reason, and the next compute's end tries again. */
  async #cleanUp(state: ComputeEnd['state']): Promise<void> {
    let reason = 'it was stopped';
    try {
      reason = state === 'crashed' ? await this.#crashReason() : reason;
      // A postmaster that ended by itself waited for its children; one that was killed left them.
      const processes = this.#process?.exit?.signal == null ? 'gone' : 'may be left';
      this.host.governor.remove(this.id);
      this.#refusals.close();
      this.#statements?.close();
      const { osUser, limits } = this.host;
      await removeLeftovers(this.paths, this.id, osUser, processes, limits.removalTimeoutMs);
      await this.#bounds?.remove();
    } catch (error) {
      reason = `${reason}; cleaning up failed: ${wordsOf(error)}`;
      const { id, paths } = this;
      this.host.onTrouble?.('a compute could not be cleaned up', {
        compute: id,
        directory: paths.root,
        error,
      });
    }
    // Only now: as long as a process of it is left, it may send WAL, and tell a client of the answer.
    const end = await this.#finishWal({ state, reason });
    this.#resolveEnded(end);
  }

  /** A stop after which not all of the branch can be read is none that went as it should. */
  async #finishWal(end: ComputeEnd): Promise<ComputeEnd> {
    try {
      await this.spec.wal?.finish();
      return end;
    } catch (error) {
      return { state: 'crashed', reason: `${end.reason}; its last WAL is not taken in: ${wordsOf(error)}` };
    }
  }

  async #crashReason(): Promise<string> {
    if (this.#walFailure !== undefined) {
      return `it was stopped because its WAL cannot be kept: ${this.#walFailure.message}`;
    }
    if (this.#exceeded !== undefined) {
      return `it was stopped: ${this.#exceeded}`;
    }
    const killedFor = this.#bounds?.killedFor();
    if (killedFor !== undefined) return killedFor;
    const exit = this.#process?.exit;
    if (exit === undefined) {
      return 'it could not be started';
    }
    const tail = await logTail(this.paths.logFile, CRASH_LOG_LINES);
    return `Postgres ended with ${formatExit(exit)}; its log's last lines: ${tail}`;
  }

  #giveUp(): void {
    const { startTimeoutMs } = this.host.limits;
    this.#abort.abort(
      computeError('compute_start_timeout', `the compute was not ready within ${startTimeoutMs} ms`),
    );
  }

  /** With the compute's id and log, whatever went wrong. */
  #asStartError(error: unknown, callerSignal: AbortSignal | undefined): OffshootError {
    const details = { compute: this.id, logFile: this.paths.logFile };
    if (error instanceof OffshootError) {
      return new OffshootError(error.code, error.message, {
        details: { ...error.details, ...details },
        cause: error.cause,
      });
    }
    const givenUp = callerSignal?.aborted === true && error === callerSignal.reason;
    const code = givenUp ? 'compute_start_cancelled' : 'compute_start_failed';
    return computeError(code, `the compute could not be started: ${wordsOf(error)}`, {
      details,
      cause: error,
    });
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
