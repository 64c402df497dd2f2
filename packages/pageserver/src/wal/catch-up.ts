import { setTimeout as sleep } from 'node:timers/promises';
import type { WalFollower } from '@offshoot/engine';
import { asOffshootError, formatLsn, type Lsn } from '@offshoot/types';
import { followError } from '../import/follow-errors.js';
import type { ReceiverView } from './receiver-view.js';

/** What is here, against the source. */
export interface CaughtUp {
  /** All WAL before it is indexed. */
  readonly lsn: Lsn;
  /** When the source was asked: what was committed there before is in. */
  readonly askedAt: Date;
}

/** What catching up needs of a receiver. */
export interface CatchUpPlace {
  /** Where the source's WAL ends that is on its disk. */
  askSource(): Promise<Lsn>;
  connectNow(): void;
  follower(): Pick<WalFollower, 'settle' | 'failure'> | undefined;
  view(): Pick<ReceiverView, 'state' | 'reason' | 'receivedLsn'>;
  now(): Date;
}

/** Before a log that is being opened is looked for again. */
const LOG_PAUSE_MS = 50;

/**
 * Asks the source how far its WAL has come, and resolves when all that can be read here. Throws
 * `production_not_followed`, `production_unreachable`, `production_behind` when the signal aborts first.
 */
export async function catchUp(place: CatchUpPlace, signal: AbortSignal): Promise<CaughtUp> {
  refuseGivenUp(place);
  const askedAt = place.now();
  const lsn = await place.askSource().catch((thrown: unknown) => {
    const reason = signal.aborted ? 'it did not answer in time' : asOffshootError(thrown).message;
    throw followError('production_unreachable', `production cannot be asked how far it has come: ${reason}`, {
      cause: thrown,
    });
  });
  place.connectNow();
  while (!signal.aborted) {
    refuseGivenUp(place);
    const follower = place.follower();
    if (follower !== undefined && follower.failure() === undefined) {
      try {
        await follower.settle(lsn, signal);
        return { lsn, askedAt };
      } catch {
        // The log is closed, or indexing has failed: the receiver opens it anew.
      }
    }
    await sleep(LOG_PAUSE_MS, undefined, { signal }).catch(() => {});
  }
  throw behind(place, lsn);
}

function refuseGivenUp(place: CatchUpPlace): void {
  const { state, reason } = place.view();
  if (state === 'needs_reimport' || state === 'stopped') {
    const why = reason === undefined ? '' : `: ${reason.message}`;
    throw followError('production_not_followed', `production is not followed any more${why}`);
  }
}

function behind(place: CatchUpPlace, lsn: Lsn) {
  const { state, reason, receivedLsn } = place.view();
  const received = receivedLsn === undefined ? 'nothing' : `up to ${formatLsn(receivedLsn)}`;
  const failure = place.follower()?.failure()?.message;
  const why = [failure, state === 'streaming' ? undefined : reason?.message].find(
    (each) => each !== undefined,
  );
  return followError(
    'production_behind',
    `production has WAL up to ${formatLsn(lsn)}, of which ${received} has arrived in time` +
      (why === undefined ? '' : `: ${why}`),
  );
}
