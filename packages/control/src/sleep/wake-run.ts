import type { ComputeSpec, RunningCompute } from '@offshoot/compute';
import type { BranchId } from '@offshoot/pageserver';
import { asOffshootError } from '@offshoot/types';
import type { BranchSurroundings } from './branch-surroundings.js';
import type { WakeStage } from './compute-counters.js';
import type { Admission, RoomUser } from './compute-room.js';

/** How long the phases of a wake took, in milliseconds. */
export type WakePhases = Readonly<Record<string, number>> & { readonly total: number };

/** What a start comes to. Called at once, in the moment in which it is so. */
export interface StartOutcome {
  /** It runs, and its turn is not over yet. */
  up(running: RunningCompute, spec: ComputeSpec, phasesMs: WakePhases): void;
  started(): void;
  failed(error: unknown): void;
}

/** How one branch's compute comes up: its wait for room and for its turn, and its start. One at a time. */
export class WakeRun {
  #queueing: AbortController | undefined;
  #starting: AbortController | undefined;
  #admission: Admission | undefined;
  #wantedMs = 0;

  constructor(
    private readonly around: Pick<BranchSurroundings, 'room' | 'clock' | 'counters' | 'specOf' | 'driver'>,
  ) {}

  /** The first who waits for it has come. */
  wanted(): void {
    this.#wantedMs = this.around.clock.now();
  }

  async enterQueue(user: RoomUser, admitted: () => void, refused: (error: unknown) => void): Promise<void> {
    const queueing = new AbortController();
    this.#queueing = queueing;
    try {
      const admission = await this.around.room.enter(user, queueing.signal);
      if (queueing.signal.aborted) {
        // In the same moment; the turn is given back.
        return admission.leave();
      }
      this.#admission = admission;
      admitted();
    } catch (error) {
      if (queueing.signal.aborted) return;
      this.around.counters.wakeFailures.add('queue', asOffshootError(error).code);
      refused(error);
    }
  }

  leaveQueue(): void {
    this.#queueing?.abort(new Error('nobody waits any more'));
  }

  /** `firstDatabase`: of whom it is being woken for. */
  async start(id: BranchId, firstDatabase: string | undefined, outcome: StartOutcome): Promise<void> {
    const { clock, counters, driver, specOf } = this.around;
    const turnMs = clock.now();
    const starting = new AbortController();
    this.#starting = starting;
    let stage: WakeStage = 'recover';
    try {
      const spec = await specOf(id);
      starting.signal.throwIfAborted();
      const readMs = clock.now();
      stage = 'start';
      const running = await driver.start({ ...spec, firstDatabase }, starting.signal);
      counters.starts.succeeded += 1;
      outcome.up(running, spec, this.#phases(turnMs, readMs, running));
      this.#admission?.startEnded();
      outcome.started();
    } catch (error) {
      counters.starts.failed += 1;
      counters.wakeFailures.add(stage, asOffshootError(error).code);
      outcome.failed(error);
    } finally {
      this.#starting = undefined;
    }
  }

  abortStart(reason: Error): void {
    this.#starting?.abort(reason);
  }

  leaveRoom(): void {
    this.#admission?.leave();
  }

  #phases(turnMs: number, readMs: number, running: RunningCompute): WakePhases {
    const roomAtMs = this.#admission?.roomAtMs ?? turnMs;
    return {
      park: roomAtMs - this.#wantedMs,
      schedule: turnMs - roomAtMs,
      recover: readMs - turnMs,
      ...running.timings,
      total: this.around.clock.now() - this.#wantedMs,
    };
  }
}
