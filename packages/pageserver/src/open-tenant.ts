import type {
  Collected,
  FollowProgress,
  Look,
  Measured,
  PageReads,
  PointHolders,
  Portion,
  PortionReclaimed,
  TenantStore,
  TenantStoreStats,
  WalFollower,
} from '@offshoot/engine';
import type { Lsn, TimelineId } from '@offshoot/types';
import type { Catalog } from './catalog/catalog.js';
import { catalogError } from './catalog/catalog-errors.js';
import type { TenantRecord, TimelineRecord } from './catalog/records.js';
import { OpenTimeline } from './open-timeline.js';
import type { FollowSettings } from './wal/follow-settings.js';
import { TimelineLogs } from './wal/timeline-logs.js';

/** What the timelines of an open tenant have in common. */
export interface OpenTenantPlace {
  /** The tenant's directory. */
  readonly dir: string;
  readonly catalog: Catalog;
  readonly settings: Pick<FollowSettings, 'indexIntervalMs' | 'waitingBytesMax'>;
}

/** A tenant whose store is open, with all its timelines. */
export class OpenTenant {
  readonly #store: TenantStore;
  readonly #tenant: TenantRecord;
  readonly #catalog: Catalog;
  readonly #settings: OpenTenantPlace['settings'];
  readonly #logs: TimelineLogs;
  readonly #timelines = new Map<TimelineId, OpenTimeline>();
  /** Indexes of those. */
  readonly #attached = new Set<number>();
  /** By their indexes, those that were detached and may have something stored. */
  readonly #detached = new Map<number, TimelineId>();
  /** Of each branch, its hold on where it leaves its parent. */
  readonly #starts = new Map<TimelineId, Disposable>();

  constructor(store: TenantStore, tenant: TenantRecord, { dir, catalog, settings }: OpenTenantPlace) {
    this.#store = store;
    this.#tenant = tenant;
    this.#catalog = catalog;
    this.#settings = settings;
    this.#logs = new TimelineLogs(dir);
  }

  /** Attaches what the catalog lists; parents come before their children there. */
  attachAll(): void {
    for (const timeline of this.#catalog.timelines(this.#tenant.id)) {
      this.attach(timeline);
    }
  }

  /** Tells the engine of a timeline. One that it knows already is no error. */
  attach(timeline: TimelineRecord): OpenTimeline {
    const { id, index, parent, lastRecordLsn, readableFrom } = timeline;
    // Who waits for an LSN of it waits there.
    const known = this.#timelines.get(id);
    if (known !== undefined) return known;
    const ancestry = parent && {
      index: this.#timelines.get(parent.timeline)?.index ?? this.#catalog.timeline(parent.timeline).index,
      ancestorLsn: parent.ancestorLsn,
    };
    // First: the branch is in the catalog, whatever becomes of the rest.
    if (parent !== undefined && !this.#starts.has(id)) {
      const start = this.#timelines.get(parent.timeline)?.hold(parent.ancestorLsn);
      if (start !== undefined) this.#starts.set(id, start);
    }
    this.#store.attach({ index, parent: ancestry, lastRecordLsn, readableFrom });
    this.#attached.add(index);
    this.#detached.delete(index);
    const open = new OpenTimeline(this.#store, this.#tenant, timeline);
    this.#timelines.set(id, open);
    return open;
  }

  detach({ id, index }: TimelineRecord): void {
    this.#timelines.delete(id);
    this.#store.detach(index);
    this.#attached.delete(index);
    this.#detached.set(index, id);
    this.#starts.get(id)?.[Symbol.dispose]();
    this.#starts.delete(id);
  }

  find(timeline: TimelineId): OpenTimeline | undefined {
    return this.#timelines.get(timeline);
  }

  /**
   * Opens a timeline's WAL log and indexes what is in it; what can be read of the timeline moves on with it. `walStart` as
   * in `FollowOptions`.
   */
  async followWal(
    record: TimelineRecord,
    onProgress: (progress: FollowProgress) => void = () => {},
    walStart?: Lsn,
  ): Promise<WalFollower> {
    return await this.#follow(record, await this.#logs.prepare(record.index), onProgress, walStart);
  }

  /** Lets a timeline grow from a source that keeps its WAL until it is in the store; what can be read moves on with it. */
  async followSource(
    record: TimelineRecord,
    onProgress: (progress: FollowProgress) => void,
  ): Promise<WalFollower> {
    // Earlier versions kept a log of such a source's WAL too.
    await this.recoverLog(record);
    return await this.#follow(record, undefined, onProgress);
  }

  async #follow(
    { id, index }: TimelineRecord,
    dir: string | undefined,
    onProgress: (progress: FollowProgress) => void,
    walStart?: Lsn,
  ): Promise<WalFollower> {
    const timeline = this.#timelines.get(id);
    const { tli, walSegmentBytes, pgMajor, source } = this.#tenant;
    if (timeline === undefined || tli === undefined) {
      throw catalogError('timeline_not_found', `timeline ${id} cannot be followed: it is not open`);
    }
    const options = {
      index,
      dir,
      tli,
      segmentBytes: walSegmentBytes,
      major: pgMajor,
      systemIdentifier: BigInt(source.systemIdentifier),
      walStart,
      indexIntervalMs: this.#settings.indexIntervalMs,
      waitingBytesMax: this.#settings.waitingBytesMax,
    };
    return await this.#store.followWal(options, (progress) => {
      timeline.advance(progress.indexed);
      onProgress(progress);
    });
  }

  /**
   * Indexes what the logs hold that a process which ended left there, but for those that `isFollowed`. Logs of timelines
   * that do not exist are removed. `onFailure` hears of logs that cannot be read.
   */
  async recoverLogs(
    isFollowed: (timeline: TimelineRecord) => boolean,
    onFailure: (timeline: TimelineRecord, error: unknown) => void,
  ): Promise<void> {
    const timelines = new Map(this.#catalog.timelines(this.#tenant.id).map((each) => [each.index, each]));
    for (const index of await this.#logs.indexes()) {
      const timeline = timelines.get(index);
      if (timeline === undefined) {
        await this.#logs.remove(index);
      } else if (!isFollowed(timeline)) {
        await this.#indexLog(timeline).catch((error: unknown) => onFailure(timeline, error));
      }
    }
  }

  /** Indexes what is left in the log of a timeline that nobody follows, and removes it. One without a log is no error. */
  async recoverLog(timeline: TimelineRecord): Promise<void> {
    if (await this.#logs.has(timeline.index)) await this.#indexLog(timeline);
  }

  /** Nobody may follow the timeline any more. */
  removeLog({ index }: TimelineRecord): Promise<void> {
    return this.#logs.remove(index);
  }

  /** Indexes of the timelines that have anything in the store, those that are gone included. */
  async storedTimelines(): Promise<number[]> {
    const detached = [...this.#detached.keys()];
    const stored = await this.#store.storedTimelines();
    const has = new Set(stored);
    for (const index of detached) if (!has.has(index)) this.#detached.delete(index);
    return stored;
  }

  isAttached(index: number): boolean {
    return this.#attached.has(index);
  }

  /** Which one that was detached has something stored; undefined: none, or it was so before the tenant was opened. */
  detachedAs(index: number): TimelineId | undefined {
    return this.#detached.get(index);
  }

  /** Removes a portion of what a timeline that is gone has in the store. */
  reclaim(index: number, portion: Portion): Promise<PortionReclaimed> {
    return this.#store.reclaim(index, portion);
  }

  /** Of a timeline nothing else can be read from now on than from `readableFrom` on, and what is needed before that. */
  narrow(open: OpenTimeline, readableFrom: Lsn, needed: Iterable<Lsn>): void {
    const kept = new Set([...needed].filter((lsn) => lsn < readableFrom));
    open.narrow(readableFrom, kept);
  }

  /** One step of removing what cannot be read of a timeline; without `cursor` the first. */
  collect(
    index: number,
    cursor: Uint8Array | undefined,
    look: Look,
    holders: PointHolders,
  ): Promise<Collected> {
    return this.#store.collect(index, cursor, look, holders);
  }

  /** Counts some of a timeline's entries; without `cursor` from the first. */
  measure(index: number, cursor: Uint8Array | undefined, entriesMax: number): Promise<Measured> {
    return this.#store.measure(index, cursor, entriesMax);
  }

  pageReads(): PageReads {
    return this.#store.pageReads();
  }

  stats(): Promise<TenantStoreStats> {
    return this.#store.stats();
  }

  /** A second call does nothing. */
  close(): Promise<void> {
    this.#timelines.clear();
    return this.#store.close();
  }

  async #indexLog(timeline: TimelineRecord): Promise<void> {
    const follower = await this.followWal(timeline);
    try {
      await follower.settle();
    } finally {
      await follower.close();
    }
    await this.#logs.remove(timeline.index);
  }
}
