import { setTimeout as sleep } from 'node:timers/promises';
import type { FollowProgress, WalFollower } from '@offshoot/engine';
import { asOffshootError, formatLsn, type Lsn, type OffshootError } from '@offshoot/types';
import { followError } from '../import/follow-errors.js';
import { dropSlot, dropSlotSql, type SourceSlot } from '../import/replication-slot.js';
import { type CaughtUp, catchUp } from './catch-up.js';
import type { FollowSettings } from './follow-settings.js';
import { Lag } from './lag.js';
import {
  pauseMs,
  type ReceiverEffect,
  type ReceiverEvent,
  type ReceiverState,
  transition,
} from './receiver-lifecycle.js';
import { type Reason, type ReceiverView, shownState } from './receiver-view.js';
import { lookAtSlot, type SlotLook } from './slot-look.js';
import { SlotWatch } from './slot-watch.js';
import { streamWal } from './wal-stream.js';

/** What a receiver works on, and whom it tells. */
export interface ProductionReceiverOptions {
  readonly settings: FollowSettings;
  readonly slot: SourceSlot;
  /** The source's connection string, with its password if that is known. */
  url(): Promise<string>;
  /** Opens the timeline's log; one at a time is open. */
  openFollower(onProgress: (progress: FollowProgress) => void): Promise<WalFollower>;
  /** WAL is missing for good; kept when it resolves. Told again after each start. */
  onNeedsReimport(reason: Reason): Promise<void>;
  onSlotDropped(): Promise<void>;
  log(message: string, facts: Readonly<Record<string, unknown>>): void;
  readonly now?: (() => Date) | undefined;
}

/** An attempt that streamed for so long has worked: the next pause is the shortest again. */
const STEADY_MS = 10_000;
/** Attempts in a row that fail before the log tells of it; a source that restarts refuses some. */
const FAILURES_LOGGED_FROM = 3;

/**
 * Follows a production: a streaming standby with a permanent physical slot, which connects again for ever. One attempt
 * at a time. When the slot keeps more WAL than it may, or has lost some, the receiver gives it up for good.
 */
export class ProductionReceiver {
  readonly #options: ProductionReceiverOptions;
  readonly #now: () => Date;
  readonly #lag = new Lag();
  #state: ReceiverState = 'stopped';
  #since: Date;
  #reason: Reason | undefined;
  #retryAt: Date | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #failures = 0;
  #streamsBegun = 0;
  #attemptsEnded = 0;
  #arrived: Lsn | undefined;
  /** The reason that the log has last told of. */
  #logged: string | undefined;
  #follower: WalFollower | undefined;
  /** The log could not be written: nobody knows what of the last bytes is on disk before it is opened anew. */
  #writeFailed = false;
  #attempt: Promise<void> = Promise.resolve();
  #attemptAbort = new AbortController();
  #givingUp: Promise<void> = Promise.resolve();
  readonly #leaveSlot = new AbortController();
  #watch: SlotWatch | undefined;
  #look: SlotLook | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: ProductionReceiverOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => new Date());
    this.#since = this.#now();
  }

  /** Begins to follow. Not to be called again. */
  start(): void {
    this.#dispatch('start');
    const { settings, slot } = this.#options;
    this.#watch = new SlotWatch({
      intervalMs: settings.slotCheckIntervalMs,
      look: async (signal) => await lookAtSlot(await this.#options.url(), settings, slot, signal),
      onLook: (look) => this.#looked(look),
      onFailure: (error) => this.#lookFailed(error),
    });
  }

  /** In place of `start` for a tenant that needs to be imported again; the slot may still have to be dropped. */
  startGivenUp(reason: Reason, slot: 'to_be_dropped' | 'dropped'): void {
    this.#reason = reason;
    if (slot === 'dropped') {
      this.#leaveSlot.abort();
    }
    // What the log holds that is not indexed yet can still be read.
    this.#attempt = this.#openFollower().then(
      () => undefined,
      (error: unknown) => this.#logFailure('opening the WAL log', error),
    );
    this.#dispatch('give_up');
  }

  view(): ReceiverView {
    const settled = this.#follower?.progress.settled;
    const hears = this.#state === 'streaming' ? 'hears' : 'hears-not';
    const lag =
      settled === undefined
        ? {}
        : {
            lagBytes: this.#lag.bytes(settled),
            lagSeconds: this.#lag.seconds(settled, hears, this.#now().getTime()),
          };
    return {
      state: shownState(this.#state),
      since: this.#since,
      reason: this.#reason,
      retryAt: this.#retryAt,
      arrivedLsn: this.#arrivedLsn(),
      receivedLsn: this.#receivedLsn(),
      indexedLsn: this.#follower?.progress.indexed,
      sourceLsn: this.#lag.sourceLsn,
      ...lag,
      streamsBegun: this.#streamsBegun,
      attemptsEnded: this.#attemptsEnded,
      slotName: this.#options.slot.name,
      slotRetainedBytesMax: this.#options.settings.slotRetainedBytesMax,
      slot: this.#look,
    };
  }

  /** See `catchUp`. */
  catchUp(signal: AbortSignal): Promise<CaughtUp> {
    const { settings, slot, url } = this.#options;
    return catchUp(
      {
        askSource: async () => (await lookAtSlot(await url(), settings, slot, signal)).sourceLsn,
        connectNow: () => this.#connectNow(),
        follower: () => this.#follower,
        view: () => this.view(),
        now: this.#now,
      },
      signal,
    );
  }

  /** Does not wait for the end of the pause between two attempts. */
  #connectNow(): void {
    if (this.#retryAt !== undefined) {
      clearTimeout(this.#retryTimer);
      this.#dispatch('retry_due');
    }
  }

  /** Nothing of it runs when it resolves, and the log is closed. A second call waits for the same end. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#dispatch('stop');
    await Promise.all([this.#attempt, this.#watch?.stop()]);
    await this.#givingUp;
    await this.#closeFollower();
  }

  #dispatch(event: ReceiverEvent): void {
    const { state, effects } = transition(this.#state, event);
    if (state !== this.#state) {
      this.#state = state;
      this.#since = this.#now();
    }
    for (const effect of effects) {
      this.#perform(effect);
    }
  }

  #perform(effect: ReceiverEffect): void {
    switch (effect) {
      case 'connect':
        this.#retryAt = undefined;
        this.#attemptAbort = new AbortController();
        this.#attempt = this.#runAttempt(this.#attemptAbort);
        return;
      case 'disconnect':
        this.#attemptAbort.abort(new Error('following has ended'));
        return;
      case 'arm_retry':
        this.#armRetry();
        return;
      case 'disarm_retry':
        clearTimeout(this.#retryTimer);
        this.#retryAt = undefined;
        return;
      case 'give_up':
        this.#givingUp = this.#giveUp();
        return;
      case 'leave_slot':
        this.#leaveSlot.abort();
    }
  }

  #armRetry(): void {
    const { retryPauseMsMin, retryPauseMsMax } = this.#options.settings;
    const ms = pauseMs(this.#failures, { minMs: retryPauseMsMin, maxMs: retryPauseMsMax });
    this.#retryAt = new Date(this.#now().getTime() + ms);
    this.#retryTimer = setTimeout(() => this.#dispatch('retry_due'), ms);
  }

  /** Resolves when nothing of the attempt runs any more; the next may begin with the event that it ends in. */
  async #runAttempt(abort: AbortController): Promise<void> {
    let streamingSince: number | undefined;
    try {
      const { settings, slot } = this.#options;
      const [follower, url] = [await this.#openFollower(), await this.#options.url()];
      await streamWal({
        url,
        settings,
        slot,
        follower: this.#watchingWrites(follower),
        signal: abort.signal,
        onStreaming: () => {
          streamingSince = performance.now();
          this.#streams();
        },
        onArrived: (lsn) => {
          this.#arrived = lsn;
        },
        onSourceLsn: (lsn) => this.#sourceAt(lsn),
      });
    } catch (thrown) {
      this.#attemptsEnded += 1;
      const steady = streamingSince !== undefined && performance.now() - streamingSince >= STEADY_MS;
      this.#failures = steady ? 1 : this.#failures + 1;
      this.#attemptEnded(this.#follower?.failure() ?? asOffshootError(thrown), abort.signal);
    }
  }

  #watchingWrites(follower: WalFollower): Pick<WalFollower, 'receivedLsn' | 'write' | 'status'> {
    return {
      receivedLsn: () => follower.receivedLsn(),
      status: () => follower.status(),
      write: (messages) =>
        follower.write(messages).catch((error: unknown) => {
          this.#writeFailed = true;
          throw error;
        }),
    };
  }

  #streams(): void {
    this.#dispatch('streaming');
    this.#streamsBegun += 1;
    this.#reason = undefined;
    if (this.#logged !== undefined) {
      this.#logged = undefined;
      this.#options.log('production is followed again', {});
    }
  }

  #attemptEnded(error: OffshootError, { aborted }: AbortSignal): void {
    if (!aborted || this.#state === 'connecting' || this.#state === 'streaming') {
      this.#reason = { code: error.code, message: error.message };
      this.#logTrouble(error);
    }
    const known: Partial<Record<string, ReceiverEvent>> = {
      source_changed: 'source_changed',
      replication_slot_lost: 'slot_lost',
    };
    this.#dispatch(known[error.code] ?? 'lost');
  }

  /** Once for each reason; what passes by itself, not at once. */
  #logTrouble(error: OffshootError): void {
    const passing = error.kind === 'retry' && this.#failures < FAILURES_LOGGED_FROM;
    if (!passing && this.#logged !== error.code) {
      this.#logged = error.code;
      this.#options.log('production cannot be followed at present', { error });
    }
  }

  /** One that failed is opened anew: the log holds all that is not indexed. */
  async #openFollower(): Promise<WalFollower> {
    if (this.#follower !== undefined && !this.#writeFailed && this.#follower.failure() === undefined) {
      return this.#follower;
    }
    await this.#closeFollower();
    this.#writeFailed = false;
    const follower = await this.#options.openFollower(() => this.#progressed());
    this.#follower = follower;
    const failure = follower.failure();
    if (failure !== undefined) {
      throw failure;
    }
    return follower;
  }

  async #closeFollower(): Promise<void> {
    const follower = this.#follower;
    this.#follower = undefined;
    await follower?.close().catch((error: unknown) => this.#logFailure('closing the WAL log', error));
  }

  /** The end of an attempt tells of a failure, and the next opens the log anew; without one it is told here. */
  #progressed(): void {
    const failure = this.#follower?.failure();
    if (failure === undefined) {
      return;
    }
    this.#attemptAbort.abort(failure);
    if (this.#state === 'waiting' || this.#state === 'source_changed' || this.#state === 'needs_reimport') {
      this.#logFailure('indexing the WAL log has failed', failure);
    }
  }

  /** What a connection that broke had sent and was not on disk comes again. */
  #arrivedLsn(): Lsn | undefined {
    const received = this.#receivedLsn();
    return this.#state === 'streaming' && this.#arrived !== undefined && this.#arrived > (received ?? 0n)
      ? this.#arrived
      : received;
  }

  #receivedLsn(): Lsn | undefined {
    return this.#follower?.receivedLsn();
  }

  #sourceAt(lsn: Lsn): void {
    const settled = this.#follower?.progress.settled;
    if (settled !== undefined) {
      this.#lag.sourceAt(lsn, settled, this.#now().getTime());
    }
  }

  #looked(look: SlotLook): void {
    this.#look = look;
    this.#sourceAt(look.sourceLsn);
    const { slotRetainedBytesMax } = this.#options.settings;
    if (look.retainedBytes > slotRetainedBytesMax) {
      const received = this.#receivedLsn();
      const have = received === undefined ? '' : `; here is WAL up to ${formatLsn(received)}`;
      this.#giveUpFor(
        followError(
          'replication_slot_lost',
          `the source kept ${look.retainedBytes} bytes of WAL for us, more than the ${slotRetainedBytesMax} that it may ` +
            `(slotRetainedBytesMax)${have}`,
        ),
      );
    }
  }

  /** The receiver meets the same trouble and tells of it; what is final is taken from here too. */
  #lookFailed(error: unknown): void {
    const { code, message } = asOffshootError(error);
    if (code === 'replication_slot_lost') {
      this.#giveUpFor(followError(code, message));
    }
  }

  #giveUpFor({ code, message }: OffshootError): void {
    this.#reason = { code, message };
    this.#dispatch('give_up');
  }

  async #giveUp(): Promise<void> {
    const reason = this.#reason ?? { code: 'replication_slot_lost', message: 'WAL is missing' };
    this.#look = undefined;
    // Not awaited: it would wait for the look that has led here.
    void this.#watch?.stop();
    await this.#options
      .onNeedsReimport(reason)
      .catch((error: unknown) => this.#logFailure('marking the tenant', error));
    await this.#dropSlot();
  }

  /** Until it is gone: production's disk must not fill up for a slot that nobody reads. */
  async #dropSlot(): Promise<void> {
    const { settings, slot, onSlotDropped } = this.#options;
    const { signal } = this.#leaveSlot;
    for (let failures = 0; !signal.aborted; failures += 1) {
      try {
        await dropSlot(await this.#options.url(), settings, slot, settings.slotDropTimeoutMs, signal);
        await onSlotDropped();
        return;
      } catch (thrown) {
        if (failures === 0 && !signal.aborted) {
          const error = asOffshootError(thrown);
          const sql = dropSlotSql(slot.name);
          this.#options.log('the replication slot cannot be dropped yet; it is tried again', { sql, error });
        }
      }
      await sleep(settings.slotCheckIntervalMs, undefined, { signal }).catch(() => {});
    }
  }

  #logFailure(what: string, error: unknown): void {
    this.#options.log(what, { error: asOffshootError(error) });
  }
}
