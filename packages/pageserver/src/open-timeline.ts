import {
  type BaseBackupOptions,
  type CommitsAround,
  engineError,
  type LoginCandidates,
  type LsnAtTime,
  type NamedRole,
  type PagesReply,
  type TenantStore,
} from '@offshoot/engine';
import { formatLsn, type Lsn } from '@offshoot/types';
import type { TenantRecord, TimelineRecord } from './catalog/records.js';
import { LsnProgress } from './page-service/lsn-progress.js';
import type { TimelinePages } from './page-service/page-source.js';
import { CLOSED, TimelineWindow } from './retention/timeline-window.js';

/** A timeline of an open tenant. */
export class OpenTimeline implements TimelinePages {
  readonly walSegmentBytes: number;
  /** The timeline's number in the engine. */
  readonly index: number;
  readonly #store: TenantStore;
  readonly #progress: LsnProgress;
  readonly #window: TimelineWindow;

  /** The timeline must be attached to the store. */
  constructor(store: TenantStore, tenant: TenantRecord, timeline: TimelineRecord) {
    this.#window = new TimelineWindow(timeline.readableFrom);
    this.walSegmentBytes = tenant.walSegmentBytes;
    this.index = timeline.index;
    this.#store = store;
    this.#progress = new LsnProgress(store.lastRecordLsn(timeline.index));
  }

  get readableFrom(): Lsn {
    return this.#window.readableFrom;
  }

  /** What can be read before that. */
  get kept(): ReadonlySet<Lsn> {
    return this.#window.kept;
  }

  /** Whether nothing was removed that a read at the LSN would come across. */
  covers(lsn: Lsn): boolean {
    return this.#window.covers(lsn);
  }

  /** Keeps an LSN until it is disposed of. Throws `lsn_out_of_range` when it cannot be read any more. */
  pin(lsn: Lsn): Disposable {
    return this.#window.pin(lsn) ?? this.#notKept(lsn);
  }

  /** The same for one of which it is known that it was never given up. */
  hold(lsn: Lsn): Disposable {
    return this.#window.hold(lsn);
  }

  pinned(): Iterable<Lsn> {
    return this.#window.pinned();
  }

  /** Nothing else can be read from now on. */
  narrow(readableFrom: Lsn, kept: ReadonlySet<Lsn>): void {
    this.#store.narrowWindow(this.index, readableFrom, [...kept]);
    this.#window.narrow(readableFrom, kept);
  }

  /** The engine has come so far. */
  advance(lsn: Lsn): void {
    this.#progress.advance(lsn);
  }

  lastRecordLsn(): Lsn {
    return this.#progress.reached;
  }

  waitForLsn(lsn: Lsn, signal: AbortSignal): Promise<void> {
    return this.#progress.waitFor(lsn, signal);
  }

  pages(version: 2 | 3, frames: Uint8Array): Promise<PagesReply> {
    return this.#store.pages(this.index, version, frames);
  }

  relations(spcnode: number, dbnode: number, lsn: Lsn): Promise<Buffer> {
    return this.#store.relations(this.index, spcnode, dbnode, lsn);
  }

  /** Where the timeline is as it was at a moment, in microseconds since 1970. A closed one has no moments. */
  async lsnAtTime(time: bigint): Promise<LsnAtTime> {
    if (this.readableFrom === CLOSED) return { lsn: undefined, knownFrom: undefined };
    return await this.#store.lsnAtTime(this.index, time);
  }

  commitsAround(lsn: Lsn): Promise<CommitsAround> {
    return this.#store.commitsAround(this.index, lsn);
  }

  /** Who may log in where, as the pages tell. */
  loginCandidates(lsn: Lsn): Promise<LoginCandidates> {
    return this.#store.loginCandidates(this.index, lsn);
  }

  /** The role of that name, as the pages tell. */
  namedRole(lsn: Lsn, name: string): Promise<NamedRole | undefined> {
    return this.#store.namedRole(this.index, lsn, name);
  }

  /** What it shows is kept until all of it was taken. */
  async baseBackup(options: BaseBackupOptions): Promise<AsyncIterable<Buffer>> {
    const lsn = options.lsn ?? this.lastRecordLsn();
    const pin = this.#window.covers(lsn) ? this.pin(lsn) : undefined;
    try {
      const tar = await this.#store.baseBackup(this.index, { ...options, lsn });
      return pin === undefined ? tar : disposingOf(pin, tar);
    } catch (thrown) {
      pin?.[Symbol.dispose]();
      throw thrown;
    }
  }

  #notKept(lsn: Lsn): never {
    const range = `${formatLsn(this.readableFrom)} to ${formatLsn(this.lastRecordLsn())}`;
    throw engineError('lsn_out_of_range', `LSN ${formatLsn(lsn)} is not kept; readable are ${range}`);
  }
}

/** The chunks; disposed of at their end, or when nobody wants the rest. */
async function* disposingOf<T>(pin: Disposable, chunks: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* chunks;
  } finally {
    pin[Symbol.dispose]();
  }
}
