import type { Lsn } from '@offshoot/types';
import type { ImportSession as NativeImportSession } from '../native.js';
import { awaiting, calling, engineError } from './native-errors.js';

/** What of a base backup is stored so far. */
export interface BackupProgress {
  readonly pages: number;
  readonly bytes: number;
}

/** What of the WAL is stored so far. */
export interface WalProgress {
  /** End of the last whole record. */
  readonly lsn: Lsn;
  readonly records: number;
}

/** A finished import. */
export interface ImportOutcome {
  readonly lastRecordLsn: Lsn;
  /** Copies of files of which the backup cannot be certain; pages that need them answer with an error. */
  readonly unsupported: readonly { readonly name: string; readonly count: number }[];
}

/**
 * A base backup and its WAL on the way into a tenant: `beginArchive` and `write` for each tar, `finishBackup`, `wal`
 * until the backup's end, `finish`. Calls do not overlap; nothing is readable before `finish`.
 */
export class ImportSession {
  #native: NativeImportSession | undefined;

  constructor(native: NativeImportSession) {
    this.#native = native;
  }

  /** The tar that follows is that tablespace's; 0 is the main one. */
  beginArchive(spcOid: number): void {
    const native = this.#open();
    calling(() => native.beginArchive(spcOid));
  }

  /** Bytes of a tar, cut anywhere. `chunk` must not change before the promise settles. */
  async write(chunk: Uint8Array): Promise<BackupProgress> {
    const native = this.#open();
    return await awaiting(() => native.write(chunk));
  }

  /** Every tar is in: checks that it was a whole cluster that can be served. */
  async finishBackup(): Promise<void> {
    const native = this.#open();
    await awaiting(() => native.finishBackup());
  }

  /** WAL from the import's start LSN on, cut anywhere. `chunk` must not change before the promise settles. */
  async wal(chunk: Uint8Array): Promise<WalProgress> {
    const native = this.#open();
    const { lsn, records } = await awaiting(() => native.wal(chunk));
    return { lsn: lsn as Lsn, records };
  }

  /** Makes all of it durable; an error when the WAL does not reach `endLsn`. Closes the session. */
  async finish(endLsn: Lsn): Promise<ImportOutcome> {
    const native = this.#open();
    const { lastRecordLsn, unsupported } = await awaiting(() => native.finish(endLsn));
    this.#native = undefined;
    return { lastRecordLsn: lastRecordLsn as Lsn, unsupported };
  }

  /** Gives the import up; a second call and one after `finish` do nothing. */
  async abort(): Promise<void> {
    const native = this.#native;
    this.#native = undefined;
    if (native !== undefined) {
      await awaiting(() => native.abort());
    }
  }

  #open(): NativeImportSession {
    if (this.#native === undefined) {
      throw engineError('engine_closed', 'the import has ended');
    }
    return this.#native;
  }
}
