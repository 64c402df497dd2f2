import type { Lsn, OffshootError } from '@offshoot/types';
import type { Tenant as NativeTenant } from '../native.js';
import { ImportSession } from './import-session.js';
import { nativeAddon } from './native-addon.js';
import { awaiting, calling, engineError, fromNative } from './native-errors.js';
import { TarStream } from './tar-stream.js';
import { type FollowOptions, type FollowProgress, WalFollower } from './wal-follower.js';

/** Limits of one tenant's store. */
export interface TenantStoreSettings {
  /** First size of the store's memory map; it grows by itself. */
  readonly mapSizeInitialBytes: number;
  /** Reads at one time. */
  readonly readersMax: number;
  /** Memory for pages that took redo to make; 0 keeps none. */
  readonly pageCacheBytes: number;
  /** Memory for what is known of which pages timelines have; 0 keeps none. */
  readonly keyFilterBytes: number;
}

/** A timeline as the engine has to know it. `index` names it inside the store and is never used again. */
export interface TimelineSpec {
  readonly index: number;
  readonly parent?: { readonly index: number; readonly ancestorLsn: Lsn } | undefined;
  readonly lastRecordLsn: Lsn;
  /** Nothing below it can be read. */
  readonly readableFrom: Lsn;
}

/** Answers to a batch of page requests. */
export interface PagesReply {
  /** Whole CopyData messages, in the order of the requests. */
  readonly reply: Buffer;
  /** Requests that `reply` answers. */
  readonly handled: number;
  /** The request after those needs this LSN: wait for it and send the rest again. */
  readonly waitFor?: Lsn | undefined;
  /** The request after those is malformed. */
  readonly failure?: OffshootError | undefined;
}

export interface BaseBackupOptions {
  /** Absent: the newest. */
  readonly lsn?: Lsn | undefined;
  /** `full` holds the relations' pages too. */
  readonly kind: 'base' | 'full';
  /** `first-page` cuts the WAL segment after its first page. */
  readonly wal: 'whole-segment' | 'first-page';
  readonly startAs: 'primary' | 'replica';
}

export interface ImportOptions {
  /** The timeline that the import makes. */
  readonly index: number;
  /** Where the backup starts. */
  readonly startLsn: Lsn;
  /** Postgres' timeline number (TLI) in the source. */
  readonly tli: number;
  readonly segmentBytes: number;
  readonly major: number;
  readonly systemIdentifier: bigint;
}

export interface TenantStoreStats {
  readonly usedBytes: number;
  /** Of the file, room that deletions have left included. */
  readonly fileBytes: number;
  readonly mapBytes: number;
  /** Page versions stored one by one. */
  readonly versions: number;
  /** Runs of up to 16 page versions stored as one. */
  readonly extents: number;
}

/** Where a timeline is as it was at a moment; times are microseconds since 1970. */
export type LsnAtTime =
  | {
      readonly lsn: Lsn;
      /** Of the last commit before `lsn`. */
      readonly lastCommitTime: bigint | undefined;
      /** No commit is later than the moment. */
      readonly isNewest: boolean;
    }
  /** Commit times are known only from `knownFrom` on, or not at all. */
  | { readonly lsn: undefined; readonly knownFrom: bigint | undefined };

/** Names, the likeliest first; few of each. */
export interface LoginCandidates {
  /** Superusers, then roles that may do replication. */
  readonly users: readonly string[];
  /** Those that take connections. */
  readonly databases: readonly string[];
}

/** A role that is there, or comes to be there if whoever makes it commits. */
export interface NamedRole {
  /** What `COMMENT ON ROLE` says of it. */
  readonly comment?: string;
}

/** When the last commit was that is in at an LSN, and the first that is not; microseconds since 1970. */
export interface CommitsAround {
  readonly last: bigint | undefined;
  readonly next: bigint | undefined;
}

/** How much one call removes at most. */
export interface Portion {
  readonly entriesMax: number;
  /** Of keys and values; one entry may be more. */
  readonly bytesMax: number;
}

/** How much one call looks at, and what one of its transactions removes. */
export interface Look {
  readonly entriesMax: number;
  readonly timeMaxMs: number;
  readonly portion: Portion;
}

/** How pages were made that page requests have asked for, since the tenant was opened. Each page is in one bucket. */
export interface PageReads {
  readonly sources: readonly {
    /** Where they came from: `zeros`, `image`, `redo`, `cache`. */
    readonly source: string;
    readonly buckets: readonly number[];
    readonly secondsSum: number;
  }[];
  /** Upper bounds of the buckets of `sources`; the last bucket has none. */
  readonly secondsBounds: readonly number[];
  /** The same of `timelines`. */
  readonly timelinesBounds: readonly number[];
  /** Pages by how many timelines were looked at for them. */
  readonly timelines: readonly number[];
  readonly timelinesSum: number;
  /** Records that were applied. */
  readonly records: number;
  /** Pages that could not be made. */
  readonly errors: number;
  /** Bytes of pages that took redo to make, and are kept. */
  readonly cachedBytes: number;
}

/** Whose single LSNs of a window are. Holders are numbered from 1 on, each after the one that it comes of. */
export interface PointHolders {
  /** Of each holder, the one that it comes of; 0: none. */
  readonly parents: readonly number[];
  readonly lsns: readonly Lsn[];
  /** Of each LSN; 0: nobody. */
  readonly holders: readonly number[];
}

/** Versions of pages that stay for the LSNs of one holder, and of those that come of it, alone. */
export interface KeptVersions {
  readonly holder: number;
  readonly versions: number;
  /** Keys and values. */
  readonly bytes: number;
}

/** What one call has removed of what cannot be read. */
export interface Collected {
  /** Where the next call goes on; undefined at the end. */
  readonly next: Uint8Array | undefined;
  readonly lookedAt: number;
  readonly removed: number;
  /** Keys and values. */
  readonly removedBytes: number;
  /** Pages, relations and files that make no sense, and were left. */
  readonly damaged: number;
  readonly kept: readonly KeptVersions[];
}

/** A part of what a timeline has in the store. */
export interface Measured {
  readonly next: Uint8Array | undefined;
  readonly entries: number;
  /** Keys and values. */
  readonly bytes: number;
  /** Pages of relations that there are versions of. */
  readonly pages: number;
}

/** What one call has removed of a timeline that is gone. */
export interface PortionReclaimed {
  readonly entries: number;
  readonly bytes: number;
  /** Nothing of it is left. */
  readonly done: boolean;
}

/** One tenant's pages on disk. */
export class TenantStore {
  #native: NativeTenant | undefined;
  #closing: Promise<void> | undefined;

  private constructor(native: NativeTenant) {
    this.#native = native;
  }

  /** Opens the store in `dir`, making it when it is not there. */
  static async open(dir: string, settings: TenantStoreSettings): Promise<TenantStore> {
    const { mapSizeInitialBytes, readersMax, pageCacheBytes, keyFilterBytes } = settings;
    return new TenantStore(
      await awaiting(() =>
        nativeAddon().openTenant(dir, { mapSizeInitialBytes, readersMax, pageCacheBytes, keyFilterBytes }),
      ),
    );
  }

  /** Makes a timeline readable; its parent must be attached already. */
  attach({ index, parent, lastRecordLsn, readableFrom }: TimelineSpec): void {
    const native = this.#open();
    const ancestry =
      parent === undefined ? {} : { parentIndex: parent.index, ancestorLsn: parent.ancestorLsn };
    calling(() => native.attach({ index, lastRecordLsn, readableFrom, ...ancestry }));
  }

  detach(index: number): void {
    const native = this.#open();
    calling(() => native.detach(index));
  }

  /** Answers whole CopyData messages with requests of that pagestream version. */
  async pages(index: number, version: 2 | 3, frames: Uint8Array): Promise<PagesReply> {
    const native = this.#open();
    const { reply, handled, waitFor, failure } = await awaiting(() => native.pages(index, version, frames));
    return {
      reply,
      handled,
      waitFor: waitFor == null ? undefined : (waitFor as Lsn),
      failure: failure == null ? undefined : fromNative(failure),
    };
  }

  /** The forks in a database at `lsn`, 13 bytes each: relnode u32, fork u8, blocks u32, reserved u32, big-endian. */
  async relations(index: number, spcnode: number, dbnode: number, lsn: Lsn): Promise<Buffer> {
    const native = this.#open();
    return await awaiting(() => native.relations(index, spcnode, dbnode, lsn));
  }

  /** Who may log in where at an LSN which can be read, as the pages tell: only Postgres knows for certain. */
  async loginCandidates(index: number, lsn: Lsn): Promise<LoginCandidates> {
    const native = this.#open();
    return await awaiting(() => native.loginCandidates(index, lsn));
  }

  /** The role of that name at an LSN which can be read, as the pages tell; undefined: there is none. */
  async namedRole(index: number, lsn: Lsn, name: string): Promise<NamedRole | undefined> {
    const native = this.#open();
    const { isThere, comment } = await awaiting(() => native.namedRole(index, lsn, name));
    if (!isThere) return undefined;
    return comment === undefined ? {} : { comment };
  }

  async baseBackup(index: number, options: BaseBackupOptions): Promise<TarStream> {
    const native = this.#open();
    const { lsn, kind, wal, startAs } = options;
    const at = lsn === undefined ? {} : { lsn };
    const replica = startAs === 'replica';
    return new TarStream(await awaiting(() => native.baseBackup(index, { ...at, kind, wal, replica })));
  }

  beginImport(options: ImportOptions): ImportSession {
    const native = this.#open();
    const { tli, systemIdentifier, index, startLsn, segmentBytes, major } = options;
    const shared = { index, startLsn, segmentBytes, major };
    return new ImportSession(
      calling(() => native.beginImport({ ...shared, timelineId: tli, systemId: systemIdentifier })),
    );
  }

  /** Lets a timeline grow, and indexes what its log holds, if it has one. One at a time for each timeline. */
  async followWal(
    options: FollowOptions,
    onProgress: (progress: FollowProgress) => void,
  ): Promise<WalFollower> {
    const native = this.#open();
    const { index, dir, tli, segmentBytes, major, systemIdentifier, walStart } = options;
    const { indexIntervalMs, waitingBytesMax } = options;
    const wal = {
      index,
      timelineId: tli,
      segmentBytes,
      major,
      systemId: systemIdentifier,
      indexIntervalMs,
      waitingBytesMax,
      ...(dir === undefined ? {} : { dir }),
      ...(walStart === undefined ? {} : { walStart }),
    };
    return await WalFollower.open((listener) => native.followWal(wal, listener), onProgress);
  }

  /** Where Postgres' recovery_target_time would stop: before the first commit or rollback that is later than `time`. */
  async lsnAtTime(index: number, time: bigint): Promise<LsnAtTime> {
    const native = this.#open();
    const { lsn, lastCommitTime, isNewest, knownFrom } = await awaiting(() => native.lsnAtTime(index, time));
    return lsn == null
      ? { lsn: undefined, knownFrom: knownFrom ?? undefined }
      : { lsn: lsn as Lsn, lastCommitTime: lastCommitTime ?? undefined, isNewest };
  }

  /** The commits next to an LSN that can be read. */
  async commitsAround(index: number, lsn: Lsn): Promise<CommitsAround> {
    const native = this.#open();
    const { last, next } = await awaiting(() => native.commitsAround(index, lsn));
    return { last: last ?? undefined, next: next ?? undefined };
  }

  /** Indexes of the timelines that have anything in the store, attached or not. */
  async storedTimelines(): Promise<number[]> {
    const native = this.#open();
    return await awaiting(() => native.storedTimelines());
  }

  /** Removes a portion of what a timeline has in the store, durably. It must be detached and have no branches. */
  async reclaim(index: number, portion: Portion): Promise<PortionReclaimed> {
    const native = this.#open();
    return await awaiting(() => native.reclaim(index, portion));
  }

  /** Nothing else can be read of a timeline from now on. `kept`: LSNs before `readableFrom`. */
  narrowWindow(index: number, readableFrom: Lsn, kept: readonly Lsn[]): void {
    const native = this.#open();
    calling(() => native.narrowWindow(index, readableFrom, [...kept]));
  }

  /**
   * Removes some of what cannot be read of a timeline, durably, and counts what stays for holders of single LSNs; without
   * `cursor` from the beginning.
   */
  async collect(
    index: number,
    cursor: Uint8Array | undefined,
    look: Look,
    { parents, lsns, holders }: PointHolders,
  ): Promise<Collected> {
    const native = this.#open();
    const held = { parents: [...parents], lsns: [...lsns], holders: [...holders] };
    const { next, ...counts } = await awaiting(() => native.collect(index, cursor, look, held));
    return { ...counts, next: next ?? undefined };
  }

  /** Counts some of a timeline's entries; without `cursor` from the first. */
  async measure(index: number, cursor: Uint8Array | undefined, entriesMax: number): Promise<Measured> {
    const native = this.#open();
    const { next, ...counts } = await awaiting(() => native.measure(index, cursor, entriesMax));
    return { ...counts, next: next ?? undefined };
  }

  pageReads(): PageReads {
    return this.#open().pageReads();
  }

  async stats(): Promise<TenantStoreStats> {
    const native = this.#open();
    return await awaiting(() => native.stats());
  }

  lastRecordLsn(index: number): Lsn {
    const native = this.#open();
    return calling(() => native.lastRecordLsn(index)) as Lsn;
  }

  /** Waits for running calls; a second call waits for the same end. */
  close(): Promise<void> {
    const native = this.#native;
    this.#native = undefined;
    this.#closing ??= native === undefined ? Promise.resolve() : awaiting(() => native.close());
    return this.#closing;
  }

  #open(): NativeTenant {
    if (this.#native === undefined) {
      throw engineError('engine_closed', 'the tenant is closed');
    }
    return this.#native;
  }
}
