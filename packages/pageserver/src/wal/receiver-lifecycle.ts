/** The life of the receiver of a production's WAL. */
export type ReceiverState =
  /** Nobody wants its WAL. */
  | 'stopped'
  /** An attempt is under way that does not stream yet. */
  | 'connecting'
  /** WAL comes in. */
  | 'streaming'
  /** The next attempt is due later. */
  | 'waiting'
  /** What answers at the source's address is not what was imported. It is looked at again later. */
  | 'source_changed'
  /** The attempt under way is being ended, since nobody wants its WAL any more. */
  | 'stopping'
  /** The attempt under way is being ended, since the source shall not keep WAL for it any more. */
  | 'giving_up'
  /** WAL is missing for good. */
  | 'needs_reimport';

/** What can happen to it. */
export type ReceiverEvent =
  | 'start'
  /** The attempt under way streams. */
  | 'streaming'
  /** The attempt is over; another may do better. */
  | 'lost'
  /** The attempt is over: the source is another one. */
  | 'source_changed'
  /** The attempt is over: the source does not have the WAL any more. */
  | 'slot_lost'
  | 'retry_due'
  /** The source keeps too much WAL, or none. */
  | 'give_up'
  | 'stop';

/** What is to be done about it, in order. */
export type ReceiverEffect =
  /** Begin an attempt; its end is `lost`, `source_changed` or `slot_lost`. */
  | 'connect'
  /** End the attempt under way. */
  | 'disconnect'
  | 'arm_retry'
  | 'disarm_retry'
  /** Mark the tenant, drop the slot. */
  | 'give_up'
  /** Stop trying to drop the slot. */
  | 'leave_slot';

/** One row's outcome. */
export interface Transition {
  readonly state: ReceiverState;
  readonly effects: readonly ReceiverEffect[];
}

type Row = Readonly<Partial<Record<ReceiverEvent, Transition>>>;

const attemptEnds = {
  lost: { state: 'waiting', effects: ['arm_retry'] },
  source_changed: { state: 'source_changed', effects: ['arm_retry'] },
  slot_lost: { state: 'needs_reimport', effects: ['give_up'] },
  give_up: { state: 'giving_up', effects: ['disconnect'] },
  stop: { state: 'stopping', effects: ['disconnect'] },
} as const satisfies Row;

const idle = {
  retry_due: { state: 'connecting', effects: ['connect'] },
  give_up: { state: 'needs_reimport', effects: ['disarm_retry', 'give_up'] },
  stop: { state: 'stopped', effects: ['disarm_retry'] },
} as const satisfies Row;

const endsAs = (end: Transition) => ({ lost: end, source_changed: end, slot_lost: end }) as const;

const table: Readonly<Record<ReceiverState, Row>> = {
  stopped: {
    start: { state: 'connecting', effects: ['connect'] },
    give_up: { state: 'needs_reimport', effects: ['give_up'] },
  },
  connecting: { streaming: { state: 'streaming', effects: [] }, ...attemptEnds },
  streaming: attemptEnds,
  waiting: idle,
  source_changed: idle,
  stopping: endsAs({ state: 'stopped', effects: [] }),
  giving_up: {
    ...endsAs({ state: 'needs_reimport', effects: ['give_up'] }),
    // The next start finds the slot as it is and gives it up again.
    stop: { state: 'stopping', effects: [] },
  },
  needs_reimport: { stop: { state: 'stopped', effects: ['leave_slot'] } },
};

/** The next state and what to do. An event that means nothing in a state (it came too late) changes nothing. */
export function transition(state: ReceiverState, event: ReceiverEvent): Transition {
  return table[state][event] ?? { state, effects: [] };
}

/** How long to wait before the next attempt: it doubles with each that failed in a row, up to the longest. */
export function pauseMs(
  failures: number,
  pauses: { readonly minMs: number; readonly maxMs: number },
): number {
  // Past 2^32 the doubling is beyond any setting.
  return Math.min(pauses.maxMs, pauses.minMs * 2 ** Math.min(Math.max(0, failures - 1), 32));
}
