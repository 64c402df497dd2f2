import type { Lsn } from '@offshoot/types';
import type { ReceiverState } from './receiver-lifecycle.js';
import type { SlotLook } from './slot-look.js';

/** Why something is as it is: an error's code and message. */
export interface Reason {
  readonly code: string;
  readonly message: string;
}

/** What a receiver shows of itself. */
export interface ReceiverView {
  readonly state: Exclude<ReceiverState, 'stopping' | 'giving_up'>;
  /** When it came into that state. */
  readonly since: Date;
  /** Of a state other than `streaming` and `stopped`: what led to it. */
  readonly reason?: Reason | undefined;
  /** When the next attempt is due. */
  readonly retryAt?: Date | undefined;
  /** The end of what the source has sent. */
  readonly arrivedLsn?: Lsn | undefined;
  /** All WAL before it is on our disk. */
  readonly receivedLsn?: Lsn | undefined;
  /** End of the last record that can be read here. */
  readonly indexedLsn?: Lsn | undefined;
  /** Where the source's WAL ends, as far as it has told. */
  readonly sourceLsn?: Lsn | undefined;
  /** From what can be read here to the source's end. */
  readonly lagBytes?: number | undefined;
  readonly lagSeconds?: number | undefined;
  /** Since the daemon started: how often streaming began, and how often an attempt at it ended. */
  readonly streamsBegun: number;
  readonly attemptsEnded: number;
  readonly slotName: string;
  /** When the slot keeps more it is given up. */
  readonly slotRetainedBytesMax: number;
  /** The last look at the slot. */
  readonly slot?: SlotLook | undefined;
}

/** On its way to a state, as good as there. */
export function shownState(state: ReceiverState): ReceiverView['state'] {
  if (state === 'stopping') {
    return 'stopped';
  }
  return state === 'giving_up' ? 'needs_reimport' : state;
}
