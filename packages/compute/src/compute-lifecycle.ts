/** The life of a compute's process. */
export type ComputeState =
  | 'starting'
  | 'running'
  | 'stopping'
  /** Its WAL cannot be kept any more, or it uses more than it may, so it is being stopped. */
  | 'failing'
  | 'stopped'
  | 'crashed';

/** What can happen to a compute. */
export type ComputeEvent =
  /** A query succeeded. */
  | 'answered'
  /** Somebody wants it gone: a stop, or a start that failed or was given up. */
  | 'stop_requested'
  /** The page server cannot take in its WAL any more, or it went beyond a limit. */
  | 'given_up'
  /** The time for a clean stop is over. */
  | 'stop_deadline'
  /** The postmaster has ended, or the start failed before there was one. */
  | 'exited';

/** What is to be done about it, in order. */
export type ComputeEffect =
  /** Give up what the start is waiting for. */
  | 'abort_start'
  /** Tell the postmaster to stop, in the way that was asked for. */
  | 'signal_stop'
  | 'arm_stop_deadline'
  | 'disarm_stop_deadline'
  /** SIGKILL to every process of the compute. */
  | 'kill_all'
  /** Make sure that no process is left, remove the directories, report the end. */
  | 'clean_up';

/** One row's outcome. */
export interface Transition {
  readonly state: ComputeState;
  readonly effects: readonly ComputeEffect[];
}

type Row = Readonly<Partial<Record<ComputeEvent, Transition>>>;

const table: Readonly<Record<ComputeState, Row>> = {
  starting: {
    answered: { state: 'running', effects: [] },
    stop_requested: { state: 'stopping', effects: ['abort_start', 'arm_stop_deadline', 'signal_stop'] },
    exited: { state: 'crashed', effects: ['clean_up'] },
  },
  running: {
    stop_requested: { state: 'stopping', effects: ['arm_stop_deadline', 'signal_stop'] },
    given_up: { state: 'failing', effects: ['arm_stop_deadline', 'signal_stop'] },
    exited: { state: 'crashed', effects: ['clean_up'] },
  },
  failing: {
    stop_deadline: { state: 'failing', effects: ['kill_all'] },
    exited: { state: 'crashed', effects: ['disarm_stop_deadline', 'clean_up'] },
  },
  stopping: {
    stop_deadline: { state: 'stopping', effects: ['kill_all'] },
    exited: { state: 'stopped', effects: ['disarm_stop_deadline', 'clean_up'] },
  },
  stopped: {},
  crashed: {},
};

/** The next state and what to do. An event that means nothing in a state (it came too late) changes nothing. */
export function transition(state: ComputeState, event: ComputeEvent): Transition {
  return table[state][event] ?? { state, effects: [] };
}
