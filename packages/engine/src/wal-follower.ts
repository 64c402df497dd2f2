import type { Lsn, OffshootError } from '@offshoot/types';
import type { WalFollower as NativeWalFollower } from '../native.js';
import { awaiting, calling, engineError, fromNative } from './native-errors.js';
import { PoolShare, poolThreads } from './pool-share.js';

/** Which WAL to take in, and where it waits to be indexed. */
export interface FollowOptions {
  /** The timeline in the engine; it must be attached. */
  readonly index: number;
  /**
   * The log's directory; made when it is not there. Undefined: WAL waits in memory, and its source, which keeps it so
   * long, is told that it is flushed once it is in the store.
   */
  readonly dir: string | undefined;
  /** Postgres' timeline number (TLI) of the WAL. */
  readonly tli: number;
  readonly segmentBytes: number;
  readonly major: number;
  readonly systemIdentifier: bigint;
  /** Only when a compute begins a new WAL on the timeline: the LSN of its first record. Absent: the WAL goes on. */
  readonly walStart?: Lsn | undefined;
  /** Indexed WAL that nobody waits for may be uncommitted for so long. */
  readonly indexIntervalMs: number;
  /** Without a log: WAL that waits in memory; past it the source is held back. */
  readonly waitingBytesMax: number;
}

/** What is committed of a timeline's WAL. */
export interface FollowProgress {
  /** End of the last record in the store. */
  readonly indexed: Lsn;
  /** Everything received before it is indexed, as far as it is whole records. */
  readonly settled: Lsn;
}

/** A Postgres on this machine whose WAL a thread of the engine receives. */
export interface ReceiveOptions {
  /** The Unix socket itself: `…/.s.PGSQL.PORT`. */
  readonly socketPath: string;
  readonly user: string;
  readonly applicationName: string;
  /** Physical; made when it is not there. */
  readonly slot: string;
  /** How often it hears of us when there is no WAL. */
  readonly statusIntervalMs: number;
}

/** How receiving ended. */
export interface ReceiveEnd {
  /** `stopped`, `ended` by the server, or `failed`. */
  readonly reason: string;
  /** Why it failed. */
  readonly failure?: OffshootError | undefined;
}

/** Told after each commit, and of 0, 0 when indexing has ended for good. */
export type NativeProgressListener = (indexed: bigint, settled: bigint) => void;

/** Any long time: a timer that is there is enough. */
const KEEP_ALIVE_MS = 2 ** 30;

interface Waiter {
  readonly wanted: bigint;
  resolve(indexed: Lsn): void;
  reject(error: unknown): void;
}

/**
 * Until it streams, a source that is a compute reads pages, for which the engine needs threads of the same pool: if
 * connecting took them all, every one of them would wait for its deadline.
 */
const connecting = new PoolShare(Math.max(1, Math.floor(poolThreads() / 2)));

/**
 * A timeline that grows: what is written to it goes to its log on disk or waits in memory, and from there into the
 * store. What is in the log when this is closed, or when the process ends, is indexed after the next opening.
 */
export class WalFollower {
  readonly #native: NativeWalFollower;
  readonly #onProgress: (progress: FollowProgress) => void;
  readonly #waiters = new Set<Waiter>();
  /** Writers that are told when there is room in memory again. */
  #roomWaiters: (() => void)[] = [];
  #progress: FollowProgress;
  #closing: Promise<void> | undefined;

  private constructor(
    native: NativeWalFollower,
    onProgress: (progress: FollowProgress) => void,
    private readonly letGo: () => void,
  ) {
    this.#native = native;
    this.#onProgress = onProgress;
    this.#progress = { indexed: native.indexedLsn() as Lsn, settled: native.settledLsn() as Lsn };
  }

  /** `open` is the addon's own call, which may tell of progress before it answers. `onProgress` is told where it begins. */
  static async open(
    open: (listener: NativeProgressListener) => Promise<NativeWalFollower>,
    onProgress: (progress: FollowProgress) => void,
  ): Promise<WalFollower> {
    let follower: WalFollower | undefined;
    // What it tells before there is a follower, that is asked for once there is one.
    const native = await awaiting(() => open((indexed, settled) => follower?.told(indexed, settled)));
    // The addon holds the listener for as long as its own object is there: if that held this one, neither would ever go.
    follower = new WalFollower(native, onProgress, () => {
      follower = undefined;
    });
    onProgress(follower.progress);
    return follower;
  }

  /** The next byte wanted from the source: all before it is in the log, on disk, or in memory. */
  receivedLsn(): Lsn {
    return calling(() => this.#native.receivedLsn()) as Lsn;
  }

  /** End of the last record in the store: the timeline's last record. */
  indexedLsn(): Lsn {
    return calling(() => this.#native.indexedLsn()) as Lsn;
  }

  get progress(): FollowProgress {
    return this.#progress;
  }

  /** Why indexing has ended for good, or undefined. */
  failure(): OffshootError | undefined {
    const failure = this.#native.failure();
    return failure == null ? undefined : fromNative(failure);
  }

  /**
   * Appends what a walsender sent: bodies of CopyData messages, in order and as they came. Resolves once it is on disk,
   * or in memory and there is room for more, with the status update to send now. Await it before the next; the
   * messages must not change before it settles.
   */
  async write(messages: Uint8Array[]): Promise<Buffer> {
    const status = await awaiting(() => this.#native.write(messages));
    if (this.#hasRoom()) {
      return status;
    }
    await this.#room();
    return this.status();
  }

  /** The status update to send when there is nothing to write. */
  status(): Buffer {
    return calling(() => this.#native.status());
  }

  /** Resolves when streaming has begun; `onEnd` is called once, whenever it ends after that. */
  async startReceiving(options: ReceiveOptions, onEnd: (end: ReceiveEnd) => void): Promise<void> {
    await connecting.run(() =>
      awaiting(() =>
        this.#native.startReceiving(options, (reason, failure) =>
          onEnd({ reason, failure: failure == null ? undefined : fromNative(failure) }),
        ),
      ),
    );
  }

  stopReceiving(): void {
    calling(() => this.#native.stopReceiving());
  }

  /**
   * Resolves with the end of the last record in the store once everything received up to now is committed, or
   * everything up to `lsn`, for which it waits to be received. Rejects with why indexing ended, with `engine_closed`
   * when this is closed first, and with the signal's reason when that aborts.
   */
  settle(lsn?: Lsn, signal?: AbortSignal): Promise<Lsn> {
    if (this.#closing !== undefined) {
      return Promise.reject(closed());
    }
    if (signal?.aborted) {
      return Promise.reject(signal.reason);
    }
    return new Promise<Lsn>((resolve, reject) => {
      const wanted = calling(() => this.#native.want(lsn));
      // The addon's call back does not keep the process alive, and at its start nothing else may.
      const alive = setInterval(() => {}, KEEP_ALIVE_MS);
      const done = () => {
        clearInterval(alive);
        signal?.removeEventListener('abort', abort);
        this.#waiters.delete(waiter);
      };
      const waiter: Waiter = {
        wanted,
        resolve: (indexed) => {
          done();
          resolve(indexed);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      };
      const abort = () => waiter.reject(signal?.reason);
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiters.add(waiter);
      this.#wake();
    });
  }

  /** Ends what runs; what is committed stays. A second call waits for the same end. */
  close(): Promise<void> {
    this.#closing ??= awaiting(() => this.#native.close()).finally(() => {
      for (const waiter of this.#waiters) {
        waiter.reject(closed());
      }
      this.#wakeWriters();
      this.letGo();
    });
    return this.#closing;
  }

  #hasRoom(): boolean {
    return calling(() => this.#native.hasRoom()) || this.failure() !== undefined;
  }

  #room(): Promise<void> {
    // As in `settle`.
    const alive = setInterval(() => {}, KEEP_ALIVE_MS);
    const room = new Promise<void>((resolve) => this.#roomWaiters.push(resolve));
    return room.finally(() => clearInterval(alive));
  }

  #wakeWriters(): void {
    const waiters = this.#roomWaiters;
    this.#roomWaiters = [];
    for (const resolve of waiters) resolve();
  }

  /** For the addon. */
  private told(indexed: bigint, settled: bigint): void {
    // What was on its way while this was opened may be older than what was read then.
    if (settled > this.#progress.settled || indexed > this.#progress.indexed) {
      this.#progress = { indexed: indexed as Lsn, settled: settled as Lsn };
    }
    this.#onProgress(this.#progress);
    if (this.#roomWaiters.length > 0 && this.#hasRoom()) this.#wakeWriters();
    this.#wake();
  }

  /** Those who wait for what is settled by now, and all of them once nothing more will be. */
  #wake(): void {
    const failure = this.failure();
    for (const waiter of this.#waiters) {
      if (waiter.wanted <= this.#progress.settled) {
        waiter.resolve(this.#progress.indexed);
      } else if (failure !== undefined) {
        waiter.reject(failure);
      }
    }
  }
}

function closed(): OffshootError {
  return engineError('engine_closed', "the timeline's log is closed");
}
