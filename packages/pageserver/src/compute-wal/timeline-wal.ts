import type { ReceiveOptions, WalFollower } from '@offshoot/engine';
import type { Lsn, OffshootError } from '@offshoot/types';
import { computeWalError } from './compute-wal-errors.js';
import type { ComputeWalSettings } from './compute-wal-settings.js';
import { beginReceiving, stayConnected } from './stay-connected.js';

export const COMPUTE_WAL_STATES = ['connecting', 'streaming', 'reconnecting', 'finishing', 'failed'] as const;
/**
 * How WAL of a compute comes in. `reconnecting`: the connection broke and commits wait. `finishing`: the compute is gone,
 * what it sent last is being taken in. `failed`: no more can be taken in, and the compute is being stopped.
 */
export type ComputeWalState = (typeof COMPUTE_WAL_STATES)[number];

/** What a timeline's WAL asks of the book that it is in. */
export interface TimelineWalHome {
  /** Opens the log; throws when the timeline has a source of WAL already. */
  open(wal: TimelineWal, walStart: Lsn): Promise<WalFollower>;
  /** The log is closed; `all` when all that is in it can be read. */
  closed(wal: TimelineWal, all: boolean): void;
  /** A connection that broke was made anew. */
  reconnected(): void;
}

/** One compute's WAL on its way into its timeline, from the start of the compute to its end. */
export class TimelineWal {
  /** Settles, never rejects, when no more WAL can be taken in. */
  readonly failed: Promise<OffshootError>;
  #fail: (failure: OffshootError) => void = () => undefined;
  #state: ComputeWalState = 'connecting';
  #follower: WalFollower | undefined;
  #connected: Promise<unknown> = Promise.resolve();
  #finishing: Promise<void> | undefined;
  readonly #over = new AbortController();
  /** Nobody waits any more for what is left. */
  readonly #abandoned = new AbortController();

  constructor(
    private readonly home: TimelineWalHome,
    private readonly settings: ComputeWalSettings,
  ) {
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
  }

  get state(): ComputeWalState {
    return this.#finishing === undefined ? this.#state : 'finishing';
  }

  /** Once, before Postgres starts. `walStart` is its first record. */
  async open(walStart: Lsn): Promise<void> {
    this.#follower = await this.home.open(this, walStart);
    if (this.#over.signal.aborted) {
      await this.#close('none');
      throw over();
    }
  }

  /** Resolves when WAL streams in; goes on, over broken connections, until it is finished or has failed. */
  async receive(from: Omit<ReceiveOptions, 'statusIntervalMs'>): Promise<void> {
    const follower = this.#opened();
    const source = { ...from, statusIntervalMs: this.settings.statusIntervalMs };
    const { end } = await beginReceiving(follower, source);
    const { signal } = this.#over;
    if (signal.aborted) {
      follower.stopReceiving();
      throw over();
    }
    this.#state = 'streaming';
    const onConnection = (connection: 'there' | 'gone') => this.#connection(connection);
    const ended = stayConnected(follower, source, end, this.settings, signal, onConnection);
    this.#connected = ended.then((failure) => {
      if (failure === undefined) return;
      this.#state = 'failed';
      this.#fail(failure);
    });
  }

  /** All before it is on our disk; undefined when the log is not open. */
  receivedLsn(): Lsn | undefined {
    return this.#follower?.receivedLsn();
  }

  /** See `WalFollower.settle`. */
  settle(lsn: Lsn | undefined, signal?: AbortSignal): Promise<Lsn> {
    return this.#opened().settle(lsn, signal);
  }

  /** The source is gone: takes in all that it sent, then closes the log. Rejects with what stands in the way. */
  finish(): Promise<void> {
    this.#finishing ??= this.#close('all');
    return this.#finishing;
  }

  /** Closes the log as it is: the timeline is not wanted any more, or the process ends. */
  abandon(): Promise<void> {
    this.#abandoned.abort();
    this.#finishing ??= this.#close('none');
    return this.#finishing.catch(() => undefined);
  }

  #connection(connection: 'there' | 'gone'): void {
    this.#state = connection === 'there' ? 'streaming' : 'reconnecting';
    if (connection === 'there') this.home.reconnected();
  }

  async #close(take: 'all' | 'none'): Promise<void> {
    this.#over.abort();
    const follower = this.#follower;
    if (follower === undefined) return;
    follower.stopReceiving();
    await this.#connected;
    let all = false;
    try {
      if (take === 'all') {
        await follower.settle(undefined, this.#abandoned.signal);
        all = true;
      }
    } finally {
      this.#follower = undefined;
      await follower.close();
      this.home.closed(this, all);
    }
  }

  #opened(): WalFollower {
    if (this.#follower === undefined) throw over();
    return this.#follower;
  }
}

function over(): OffshootError {
  return computeWalError('wal_in_use', "the timeline's WAL log is not open");
}
