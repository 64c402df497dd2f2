import { setTimeout as sleep } from 'node:timers/promises';
import type { ReceiveEnd, ReceiveOptions, WalFollower } from '@offshoot/engine';
import { asOffshootError, type OffshootError } from '@offshoot/types';
import { computeWalError } from './compute-wal-errors.js';
import type { ComputeWalSettings } from './compute-wal-settings.js';

/** What receiving needs of a follower. */
export type Receiver = Pick<WalFollower, 'startReceiving' | 'stopReceiving' | 'failure'>;

/** Our disk or store is full or broken: another connection would not mend it. */
const LASTING = new Set(['disk_full', 'storage_io', 'storage_corrupt', 'store_full', 'source_corrupt']);

/** Postgres has dropped WAL that we need, as it does when its slot is dropped or past its bound. */
const WAL_IS_GONE = /has already been removed|can no longer get changes|has been invalidated/;

/** Resolves when streaming has begun, with a promise of its end. */
export async function beginReceiving(
  receiver: Receiver,
  source: ReceiveOptions,
): Promise<{ readonly end: Promise<ReceiveEnd> }> {
  let onEnd: (end: ReceiveEnd) => void = () => undefined;
  const end = new Promise<ReceiveEnd>((resolve) => {
    onEnd = resolve;
  });
  await receiver.startReceiving(source, onEnd);
  return { end };
}

/**
 * Makes a connection that ended anew, until `signal` aborts. Resolves then with undefined, or with why WAL cannot be
 * received any more. While the connection is gone the source's commits wait.
 */
export async function stayConnected(
  receiver: Receiver,
  source: ReceiveOptions,
  first: Promise<ReceiveEnd>,
  settings: ComputeWalSettings,
  signal: AbortSignal,
  onConnection: (connection: 'there' | 'gone') => void = () => {},
): Promise<OffshootError | undefined> {
  let end = await first;
  onConnection('gone');
  let goneSince = performance.now();
  let pauseMs = settings.retryMsMin;
  while (!signal.aborted) {
    const lasting = receiver.failure() ?? lastingFailure(end);
    if (lasting !== undefined) {
      return lasting;
    }
    if (performance.now() - goneSince > settings.receiverGoneMsMax) {
      return sourceLost(settings.receiverGoneMsMax, end);
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) {
      return undefined;
    }
    try {
      const receiving = await beginReceiving(receiver, source);
      // It may have been stopped before there was anything to stop.
      if (signal.aborted) receiver.stopReceiving();
      onConnection('there');
      end = await receiving.end;
      onConnection('gone');
      goneSince = performance.now();
      pauseMs = settings.retryMsMin;
    } catch (thrown) {
      const failure = asOffshootError(thrown);
      end = { reason: failure.message, failure };
      pauseMs = Math.min(2 * pauseMs, settings.retryMsMax);
    }
  }
  return undefined;
}

function lastingFailure({ reason, failure }: ReceiveEnd): OffshootError | undefined {
  if (failure !== undefined && LASTING.has(failure.code)) {
    return failure;
  }
  const words = failure?.message ?? reason;
  return WAL_IS_GONE.test(words)
    ? computeWalError(
        'wal_source_lost',
        `Postgres does not have the WAL any more that is needed next: ${words}`,
        {
          cause: failure,
        },
      )
    : undefined;
}

function sourceLost(goneMs: number, { reason, failure }: ReceiveEnd): OffshootError {
  return computeWalError(
    'wal_source_lost',
    `its WAL could not be received for ${goneMs} ms: ${failure?.message ?? reason}`,
    {
      cause: failure,
    },
  );
}
