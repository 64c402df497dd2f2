/** Where a branch's compute is on its way between sleeping and being awake. */
export type BranchPhase =
  /** There is none; the next who wants it wakes it. */
  | 'asleep'
  /** The same, after one that ended by itself. */
  | 'crashed'
  /** Waits for room among the computes that are awake, and for its turn to start. */
  | 'queued'
  | 'waking'
  /** A start that is not wanted any more, until it has ended. */
  | 'giving_up'
  | 'awake'
  /**
   * Nobody is connected, and it is being asked whether there is work. Who waits wants another compute in its place.
   */
  | 'asking'
  /** It takes no more connections: it is being stopped or has just crashed. Its WAL is not taken in yet. */
  | 'ending'
  /** The branch is deleted, or the daemon ends. */
  | 'gone';

/** `held`: somebody decides whether the branch is deleted. `condemned`: that is decided. */
export type BranchHold = 'free' | 'held' | 'condemned';

export interface BranchLife {
  readonly phase: BranchPhase;
  readonly hold: BranchHold;
  /** Who wants it awake and has no answer yet. */
  readonly waiters: number;
  readonly connections: number;
}

/** What can happen. */
export type BranchEvent =
  /** Somebody waits for it to be awake, or does not wait any more. */
  | 'wanted'
  | 'withdrawn'
  /** There is room and it is its turn, or there will be none. */
  | 'admitted'
  | 'refused'
  | 'started'
  | 'start_failed'
  /** To a compute that is awake. */
  | 'connected'
  | 'released'
  /** Somebody wanted it awake, by hand, and it was. */
  | 'used'
  /** The idle time is over, or its room is needed. */
  | 'rest_due'
  /** Its answer: nobody but us is there, or there is work. */
  | 'at_rest'
  | 'at_work'
  /** By hand. */
  | 'stop'
  /** The process takes no more connections. */
  | 'ending'
  /** It has ended, all its WAL is taken in; `crashed`: not because it was told to. */
  | 'ended'
  | 'crashed'
  | 'held'
  | 'unheld'
  | 'condemned';

/** What is to be done about it, in order. */
export type BranchEffect =
  | 'enter_queue'
  | 'leave_queue'
  | 'start'
  | 'abort_start'
  /** Whoever waits gets the compute, as a connection if that was wanted. */
  | 'serve_waiters'
  /** Whoever waits gets the reason. */
  | 'fail_waiters'
  /** Begin the idle time anew. */
  | 'watch_idle'
  | 'unwatch_idle'
  | 'ask'
  | 'drop_question'
  | 'stop'
  | 'leave_room'
  | 'forget';

/** One row's outcome. */
export interface BranchStep {
  readonly life: BranchLife;
  readonly effects: readonly BranchEffect[];
}

type Change = Partial<BranchLife> & { readonly effects?: readonly BranchEffect[] };
type Row = Change | ((life: BranchLife) => Change);
type Rows = Readonly<Partial<Record<BranchEvent, Row>>>;

export const asleep: BranchLife = { phase: 'asleep', hold: 'free', waiters: 0, connections: 0 };

/** What an event means wherever it comes; the rows see it done already. */
const counted: Readonly<Partial<Record<BranchEvent, (life: BranchLife) => Partial<BranchLife>>>> = {
  wanted: ({ waiters }) => ({ waiters: waiters + 1 }),
  withdrawn: ({ waiters }) => ({ waiters: waiters - 1 }),
  connected: ({ connections }) => ({ connections: connections + 1 }),
  released: ({ connections }) => ({ connections: connections - 1 }),
  ended: () => ({ connections: 0 }),
  crashed: () => ({ connections: 0 }),
  held: ({ hold }) => ({ hold: hold === 'condemned' ? hold : 'held' }),
  unheld: ({ hold }) => ({ hold: hold === 'condemned' ? hold : 'free' }),
  condemned: () => ({ hold: 'condemned' }),
};

/** There is no compute any more: on to the next wake, or to rest. */
function over(rest: 'asleep' | 'crashed', ...before: BranchEffect[]): (life: BranchLife) => Change {
  return ({ hold, waiters }) => {
    if (hold === 'condemned') return { phase: 'gone', effects: [...before, 'leave_room', 'forget'] };
    return hold === 'free' && waiters > 0
      ? { phase: 'queued', effects: [...before, 'leave_room', 'enter_queue'] }
      : { phase: rest, effects: [...before, 'leave_room'] };
  };
}

const wakeIfWanted: Row = ({ hold, waiters }) =>
  hold === 'free' && waiters > 0 ? { phase: 'queued', effects: ['enter_queue'] } : {};

const resting: Rows = {
  wanted: wakeIfWanted,
  unheld: wakeIfWanted,
  condemned: { phase: 'gone', waiters: 0, effects: ['fail_waiters', 'forget'] },
};

const watchIfIdle: Row = ({ connections }) => (connections === 0 ? { effects: ['watch_idle'] } : {});

/** It stays: whoever waited for another gets this one. */
function stays(...effects: BranchEffect[]): (life: BranchLife) => Change {
  return ({ waiters }) =>
    waiters === 0
      ? { phase: 'awake', effects }
      : { phase: 'awake', waiters: 0, effects: [...effects, 'serve_waiters'] };
}

const table: Readonly<Record<BranchPhase, Rows>> = {
  asleep: resting,
  crashed: resting,
  queued: {
    withdrawn: ({ waiters }) => (waiters === 0 ? { phase: 'asleep', effects: ['leave_queue'] } : {}),
    admitted: { phase: 'waking', effects: ['start'] },
    refused: { phase: 'asleep', waiters: 0, effects: ['fail_waiters'] },
    held: { phase: 'asleep', effects: ['leave_queue'] },
    condemned: { phase: 'gone', waiters: 0, effects: ['leave_queue', 'fail_waiters', 'forget'] },
  },
  waking: {
    // Without a waiter it goes on: the next one may come in a moment.
    started: { phase: 'awake', waiters: 0, effects: ['watch_idle', 'serve_waiters'] },
    start_failed: { phase: 'asleep', waiters: 0, effects: ['leave_room', 'fail_waiters'] },
    held: { phase: 'giving_up', effects: ['abort_start'] },
    condemned: { phase: 'giving_up', waiters: 0, effects: ['fail_waiters', 'abort_start'] },
  },
  giving_up: {
    started: ({ hold }) =>
      hold === 'condemned'
        ? { phase: 'ending', effects: ['stop'] }
        : { phase: 'awake', waiters: 0, effects: ['watch_idle', 'serve_waiters'] },
    start_failed: over('asleep'),
    condemned: { waiters: 0, effects: ['fail_waiters'] },
  },
  awake: {
    connected: { effects: ['unwatch_idle'] },
    released: watchIfIdle,
    used: watchIfIdle,
    rest_due: ({ connections }) =>
      connections === 0 ? { phase: 'asking', effects: ['unwatch_idle', 'ask'] } : {},
    stop: { phase: 'ending', effects: ['unwatch_idle', 'stop'] },
    ending: { phase: 'ending', effects: ['unwatch_idle'] },
    ended: over('asleep', 'unwatch_idle'),
    crashed: over('crashed', 'unwatch_idle'),
    condemned: { phase: 'ending', effects: ['unwatch_idle', 'stop'] },
  },
  asking: {
    connected: stays('drop_question'),
    used: stays('drop_question', 'watch_idle'),
    at_rest: { phase: 'ending', effects: ['stop'] },
    at_work: stays('watch_idle'),
    stop: { phase: 'ending', effects: ['drop_question', 'stop'] },
    ending: { phase: 'ending', effects: ['drop_question'] },
    ended: over('asleep', 'drop_question'),
    crashed: over('crashed', 'drop_question'),
    condemned: ({ waiters }) => ({
      phase: 'ending',
      waiters: 0,
      effects: [...(waiters === 0 ? [] : (['fail_waiters'] as const)), 'drop_question', 'stop'],
    }),
  },
  ending: {
    ended: over('asleep'),
    crashed: over('crashed'),
    condemned: { waiters: 0, effects: ['fail_waiters'] },
  },
  gone: {},
};

/** The next state and what to do. An event that means nothing in a phase (it came too late) only counts. */
export function branchStep(life: BranchLife, event: BranchEvent): BranchStep {
  const seen: BranchLife = { ...life, ...counted[event]?.(life) };
  const row = table[life.phase][event];
  const { effects = [], ...change } = (typeof row === 'function' ? row(seen) : row) ?? {};
  return { life: { ...seen, ...change }, effects };
}
