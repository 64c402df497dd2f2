import type { ImportSession } from '@offshoot/engine';
import { type Lsn, parseLsn } from '@offshoot/types';
import { backendProtocolError, CopyDataCutter, ReplicationTag, readNewArchive } from '@offshoot/wire';
import { ChunkPump } from './chunk-pump.js';
import type { ProgressReport } from './import-progress.js';
import type { ImportSettings } from './import-settings.js';
import type { ReplicationConnection, ResultRow } from './replication-connection.js';

/** A point in the source's WAL, on one of its timelines (TLI). */
export interface WalPosition {
  readonly lsn: Lsn;
  readonly tli: number;
}

/** A base backup that is stored. */
export interface StoredBackup {
  readonly session: ImportSession;
  readonly start: WalPosition;
  readonly end: WalPosition;
  readonly bytes: number;
  readonly pages: number;
}

/** Makes the engine's session once it is known where the backup starts. */
export type BeginSession = (start: WalPosition) => ImportSession;

const COMMAND =
  "BASE_BACKUP (LABEL 'offshoot', PROGRESS true, CHECKPOINT 'fast', WAIT false, MANIFEST 'no', TABLESPACE_MAP true)";

/** Streams a base backup of the source into the engine, with no copy on disk in between. */
export async function storeBaseBackup(
  connection: ReplicationConnection,
  settings: ImportSettings,
  beginSession: BeginSession,
  report: ProgressReport,
): Promise<StoredBackup> {
  const receiver = new BackupReceiver(connection, settings, beginSession, report);
  try {
    await connection.run(COMMAND, 'sending its base backup', {
      result: (rows) => receiver.result(rows),
      copyData: (piece, offset, bodyBytes) => receiver.cutter.copyData(piece, offset, bodyBytes),
    });
    return await receiver.finish();
  } catch (thrown) {
    await receiver.stop();
    throw thrown;
  }
}

/** Takes what BASE_BACKUP answers: the start, the tablespaces, one tar for each of them, the end. */
class BackupReceiver {
  readonly cutter: CopyDataCutter;
  readonly #pump: ChunkPump;
  readonly #beginSession: BeginSession;
  readonly #report: ProgressReport;
  readonly #results: WalPosition[] = [];
  #session: ImportSession | undefined;
  #resultCount = 0;
  #bytes = 0;
  #pages = 0;

  constructor(
    connection: ReplicationConnection,
    settings: ImportSettings,
    beginSession: BeginSession,
    report: ProgressReport,
  ) {
    this.#beginSession = beginSession;
    this.#report = report;
    this.#pump = new ChunkPump(
      settings.batchBytes,
      (batch) => this.#store(batch),
      connection,
      (error) => connection.destroy(error),
    );
    this.cutter = new CopyDataCutter((tag) => (tag === ReplicationTag.ArchiveData ? 1 : 'whole'), {
      head: (head) => this.#head(head),
      payload: (piece) => this.#pump.push(piece),
    });
  }

  /** Three result sets: where it starts, its tablespaces, and (behind the archives) where it ends. */
  result(rows: readonly ResultRow[]): void {
    this.#resultCount += 1;
    if (this.#resultCount === 2) {
      this.#report({ bytesTotal: totalBytes(rows) });
      return;
    }
    const position = readPosition(rows[0]);
    this.#results.push(position);
    if (this.#resultCount === 1) {
      this.#session = this.#beginSession(position);
      this.#report({ phase: 'base_backup' });
    }
  }

  async finish(): Promise<StoredBackup> {
    await this.#pump.drained();
    const [start, end] = this.#results;
    if (start === undefined || end === undefined || this.#session === undefined) {
      throw backendProtocolError(
        'source_protocol_violation',
        'the source sent a base backup without its end',
      );
    }
    await this.#session.finishBackup();
    return { session: this.#session, start, end, bytes: this.#bytes, pages: this.#pages };
  }

  /** The session is at rest when it resolves. */
  stop(): Promise<void> {
    return this.#pump.stop();
  }

  #head(head: Buffer): void {
    if (head[0] === ReplicationTag.NewArchive) {
      const spcOid = tablespaceOf(readNewArchive(head).name);
      this.#pump.mark(() => this.#openSession().beginArchive(spcOid));
    }
  }

  async #store(batch: Uint8Array): Promise<void> {
    const { pages } = await this.#openSession().write(batch);
    this.#bytes += batch.length;
    this.#pages = pages;
    this.#report({ bytesDone: this.#bytes, pages });
  }

  #openSession(): ImportSession {
    if (this.#session === undefined) {
      throw backendProtocolError('source_protocol_violation', 'the source sent an archive before its start');
    }
    return this.#session;
  }
}

/** `base.tar` is the main archive, 0; others are named after their tablespace's oid. */
function tablespaceOf(archive: string): number {
  if (archive === 'base.tar') {
    return 0;
  }
  const oid = Number(/^(\d+)\.tar$/.exec(archive)?.[1] ?? Number.NaN);
  if (!Number.isInteger(oid) || oid < 1 || oid > 0xffff_ffff) {
    throw backendProtocolError('source_protocol_violation', `the source sent an archive named ${archive}`);
  }
  return oid;
}

function readPosition(row: ResultRow | undefined): WalPosition {
  const { recptr, tli } = row ?? {};
  if (typeof recptr !== 'string' || !/^\d+$/.test(tli ?? '')) {
    throw backendProtocolError('source_protocol_violation', 'the source sent no position of its base backup');
  }
  return { lsn: parseLsn(recptr), tli: Number(tli) };
}

/** Sizes come in kilobytes; they are an estimate. */
function totalBytes(rows: readonly ResultRow[]): number {
  return rows.reduce((sum, { size }) => sum + 1024 * Number(size ?? 0), 0);
}
