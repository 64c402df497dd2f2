import type {
  BaseBackupOptions,
  CommitsAround,
  LoginCandidates,
  LsnAtTime,
  PagesReply,
  TarStream,
  TenantStore,
} from '@offshoot/engine';
import type { Lsn } from '@offshoot/types';
import type { TenantRecord, TimelineRecord } from './catalog/records.js';
import { LsnProgress } from './page-service/lsn-progress.js';
import type { TimelinePages } from './page-service/page-source.js';

/** A timeline of an open tenant. */
export class OpenTimeline implements TimelinePages {
  readonly readableFrom: Lsn;
  readonly walSegmentBytes: number;
  /** The timeline's number in the engine. */
  readonly index: number;
  readonly #store: TenantStore;
  readonly #progress: LsnProgress;

  /** The timeline must be attached to the store. */
  constructor(store: TenantStore, tenant: TenantRecord, timeline: TimelineRecord) {
    this.readableFrom = timeline.readableFrom;
    this.walSegmentBytes = tenant.walSegmentBytes;
    this.index = timeline.index;
    this.#store = store;
    this.#progress = new LsnProgress(store.lastRecordLsn(timeline.index));
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

  /** Where the timeline is as it was at a moment, in microseconds since 1970. */
  lsnAtTime(time: bigint): Promise<LsnAtTime> {
    return this.#store.lsnAtTime(this.index, time);
  }

  commitsAround(lsn: Lsn): Promise<CommitsAround> {
    return this.#store.commitsAround(this.index, lsn);
  }

  /** Who may log in where, as the pages tell. */
  loginCandidates(lsn: Lsn): Promise<LoginCandidates> {
    return this.#store.loginCandidates(this.index, lsn);
  }

  baseBackup(options: BaseBackupOptions): Promise<TarStream> {
    return this.#store.baseBackup(this.index, options);
  }
}
