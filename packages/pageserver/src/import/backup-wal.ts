import type { ImportSession } from '@offshoot/engine';
import { formatLsn, type Lsn } from '@offshoot/types';
import {
  backendProtocolError,
  CopyDataCutter,
  ReplicationTag,
  readKeepalive,
  readXLogDataHeader,
  writeStatusUpdate,
  XLOG_DATA_HEADER_BYTES,
} from '@offshoot/wire';
import type { WalPosition } from './base-backup.js';
import { ChunkPump } from './chunk-pump.js';
import type { ProgressReport } from './import-progress.js';
import type { ImportSettings } from './import-settings.js';
import type { ReplicationConnection } from './replication-connection.js';

/** WAL that is stored. */
export interface StoredWal {
  readonly records: number;
}

/** What to fetch: everything between the backup's two ends, through the slot that keeps it. */
export interface WalWanted {
  readonly slot: string;
  readonly start: WalPosition;
  readonly end: Lsn;
}

/**
 * Streams WAL into the engine, up to exactly `end`. The command does not come to its end by itself: with the last
 * byte the connection has done its work and is closed.
 */
export async function storeBackupWal(
  connection: ReplicationConnection,
  settings: ImportSettings,
  wanted: WalWanted,
  session: ImportSession,
  report: ProgressReport,
): Promise<StoredWal> {
  const { slot, start } = wanted;
  const receiver = new WalReceiver(connection, settings, wanted, session, report);
  const timer = setInterval(() => receiver.sendStatus(), settings.statusIntervalMs);
  try {
    const command = `START_REPLICATION SLOT "${slot}" PHYSICAL ${formatLsn(start.lsn)} TIMELINE ${start.tli}`;
    const ended = connection.run(command, 'sending its WAL', {
      copyData: (piece, offset, bodyBytes) => receiver.cutter.copyData(piece, offset, bodyBytes),
    });
    await Promise.race([receiver.complete, ended]);
    return await receiver.finish();
  } catch (thrown) {
    await receiver.stop();
    throw thrown;
  } finally {
    clearInterval(timer);
  }
}

/** Takes what START_REPLICATION sends. */
class WalReceiver {
  readonly cutter: CopyDataCutter;
  /** Resolves when the last byte wanted is in. */
  readonly complete: Promise<void>;
  readonly #connection: ReplicationConnection;
  readonly #pump: ChunkPump;
  readonly #session: ImportSession;
  readonly #report: ProgressReport;
  readonly #end: Lsn;
  #received: Lsn;
  #stored: Lsn;
  #records = 0;
  #completed: () => void = () => {};

  constructor(
    connection: ReplicationConnection,
    settings: ImportSettings,
    { start, end }: WalWanted,
    session: ImportSession,
    report: ProgressReport,
  ) {
    this.#connection = connection;
    this.#session = session;
    this.#report = report;
    this.#end = end;
    this.#received = start.lsn;
    this.#stored = start.lsn;
    this.complete = new Promise((resolve) => {
      this.#completed = resolve;
    });
    const fail = (error: unknown) => connection.destroy(error);
    this.#pump = new ChunkPump(settings.batchBytes, (batch) => this.#store(batch), connection, fail);
    this.cutter = new CopyDataCutter(
      (tag) => (tag === ReplicationTag.XLogData ? XLOG_DATA_HEADER_BYTES : 'whole'),
      { head: (head) => this.#head(head), payload: (piece) => this.#wal(piece) },
    );
  }

  sendStatus(): void {
    const [written, stored] = [this.#received, this.#stored];
    const status = {
      written,
      flushed: stored,
      applied: stored,
      sentAtMs: Date.now(),
      reply: 'not-wanted' as const,
    };
    this.#connection.sendCopyData(writeStatusUpdate(status));
  }

  async finish(): Promise<StoredWal> {
    if (this.#received < this.#end) {
      const [has, wants] = [formatLsn(this.#received), formatLsn(this.#end)];
      throw backendProtocolError(
        'source_protocol_violation',
        `the source ended its WAL at ${has}; the backup needs it up to ${wants}`,
      );
    }
    await this.#pump.drained();
    return { records: this.#records };
  }

  /** The session is at rest when it resolves. */
  stop(): Promise<void> {
    return this.#pump.stop();
  }

  #head(head: Buffer): void {
    if (head[0] === ReplicationTag.Keepalive && readKeepalive(head).reply === 'wanted') {
      this.sendStatus();
    } else if (head[0] === ReplicationTag.XLogData) {
      this.#expectNext(readXLogDataHeader(head).start);
    }
  }

  #expectNext(start: Lsn): void {
    if (this.#received < this.#end && start !== this.#received) {
      const [sent, wanted] = [formatLsn(start), formatLsn(this.#received)];
      throw backendProtocolError(
        'source_protocol_violation',
        `the source sent WAL from ${sent} where ${wanted} was next`,
      );
    }
  }

  #wal(piece: Buffer): void {
    const missing = this.#end - this.#received;
    const wanted = missing < BigInt(piece.length) ? piece.subarray(0, Number(missing)) : piece;
    this.#received = (this.#received + BigInt(wanted.length)) as Lsn;
    this.#pump.push(wanted);
    if (this.#received === this.#end) {
      this.#completed();
    }
  }

  async #store(batch: Uint8Array): Promise<void> {
    const { lsn, records } = await this.#session.wal(batch);
    this.#stored = lsn;
    this.#records = records;
    this.#report({ walLsn: lsn });
  }
}
