import type { BaseBackupOptions, PagesReply } from '@offshoot/engine';
import type { Lsn, TenantId, TimelineId } from '@offshoot/types';

/** Where the page service gets pages from. */
export interface PageSource {
  /**
   * A readable timeline. Asked again for each batch of requests, so it should be quick. Rejects with an OffshootError:
   * of kind `reconnect` when the client should come back later or elsewhere; else its message is what users see.
   */
  timeline(tenant: TenantId, timeline: TimelineId): Promise<TimelinePages>;
}

/** One timeline's pages. Errors are OffshootErrors, with kinds as in `PageSource`. */
export interface TimelinePages {
  /** Everything from it on can be read. */
  readonly readableFrom: Lsn;
  /** Whether an LSN can be read, be it a single one before that. */
  covers(lsn: Lsn): boolean;
  /** Size of the source's WAL segments. */
  readonly walSegmentBytes: number;
  /** End of the last WAL record that is wholly taken in. */
  lastRecordLsn(): Lsn;
  /** Resolves once `lastRecordLsn() >= lsn`. Rejects with the signal's reason when that aborts first. */
  waitForLsn(lsn: Lsn, signal: AbortSignal): Promise<void>;
  /** Answers whole CopyData messages, one request each, with whole CopyData messages in the same order. */
  pages(version: 2 | 3, frames: Uint8Array): Promise<PagesReply>;
  /** The forks in a database: 13 bytes each, as the `relations` command sends them. */
  relations(spcnode: number, dbnode: number, lsn: Lsn): Promise<Uint8Array>;
  /** A tar archive in chunks. The iterator's `return` gives up the rest. */
  baseBackup(options: BaseBackupOptions): Promise<AsyncIterable<Uint8Array>>;
}
