import type { WalFollower } from '@offshoot/engine';
import { formatLsn, type Lsn, OffshootError } from '@offshoot/types';
import {
  backendProtocolError,
  CopyDataGatherer,
  ReplicationTag,
  readKeepalive,
  readXLogDataHeader,
  XLOG_DATA_HEADER_BYTES,
} from '@offshoot/wire';
import { followError } from '../import/follow-errors.js';
import { importError } from '../import/import-errors.js';
import type { ReplicationConnection } from '../import/replication-connection.js';
import {
  identifySystem,
  readSlot,
  refuseOtherSystem,
  refuseOtherTimeline,
  type SourceSlot,
  withConnection,
} from '../import/replication-slot.js';
import type { FollowSettings } from './follow-settings.js';
import { MessagePump } from './message-pump.js';

/** One attempt at streaming a source's WAL into a log. */
export interface WalStreamOptions {
  readonly url: string;
  readonly settings: FollowSettings;
  readonly slot: SourceSlot;
  readonly follower: Pick<WalFollower, 'receivedLsn' | 'write' | 'status'>;
  /** Aborting it ends the stream, which rejects with its reason. */
  readonly signal: AbortSignal;
  /** The source has begun to stream. */
  onStreaming(): void;
  /** WAL up to there has come, and is not on disk yet. */
  onArrived(lsn: Lsn): void;
  /** The source said where its WAL ends. */
  onSourceLsn(lsn: Lsn): void;
  readonly nowMs?: (() => number) | undefined;
}

/**
 * Connects to the source, makes sure that it is the one that was imported, and streams its WAL from the first byte that
 * the log has not. Never resolves: it rejects with why it is over, when nothing of it runs any more.
 */
export async function streamWal(options: WalStreamOptions): Promise<never> {
  const { url, settings, slot, follower, signal } = options;
  return await withConnection(url, settings, signal, async (connection) => {
    const identity = await identifySystem(connection);
    refuseOtherSystem(identity, slot);
    refuseOtherTimeline(identity, slot);
    await readSlot(connection, slot);
    options.onSourceLsn(identity.flushLsn);
    const stream = new WalStream(connection, options);
    const start = formatLsn(follower.receivedLsn());
    const command = `START_REPLICATION SLOT "${slot.name}" PHYSICAL ${start} TIMELINE ${slot.tli}`;
    try {
      await connection.run(command, 'sending its WAL', {
        copyBegan: () => stream.began(),
        // As when the timeline ends, by a promotion: the next attempt sees what has become of it.
        copyEnded: () => connection.destroy(streamEnded()),
        copyData: (piece, offset, bodyBytes) => stream.copyData(piece, offset, bodyBytes),
      });
    } catch (thrown) {
      throw walIsGone(thrown) ? followError('replication_slot_lost', (thrown as Error).message) : thrown;
    } finally {
      await stream.stop();
    }
    throw streamEnded();
  });
}

function streamEnded(): Error {
  return importError('source_lost', 'the source ended its stream of WAL');
}

/** Postgres' answer when a segment that it should send is not there any more. */
function walIsGone(thrown: unknown): boolean {
  return (
    thrown instanceof OffshootError &&
    thrown.details.source_sqlstate === '58P01' &&
    /has already been removed/.test(thrown.message)
  );
}

/** Parts of the longest silence: between two looks at the clock, and until the source is asked for a word. */
const LOOKS_PER_SILENCE = 4;
const ASKED_AFTER_LOOKS = 2;

/** What happens between the first byte of a stream and its last. */
class WalStream {
  readonly #connection: ReplicationConnection;
  readonly #options: WalStreamOptions;
  readonly #gatherer: CopyDataGatherer;
  readonly #pump: MessagePump;
  readonly #nowMs: () => number;
  #heardAtMs = 0;
  #toldAtMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(connection: ReplicationConnection, options: WalStreamOptions) {
    const { settings } = options;
    this.#connection = connection;
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#gatherer = new CopyDataGatherer(settings.messageBytesMax, (body) => this.#message(body));
    this.#pump = new MessagePump(
      settings.inFlightBytesMax,
      (messages) => this.#write(messages),
      connection,
      (error) => connection.destroy(error),
    );
  }

  began(): void {
    const { settings, onStreaming } = this.#options;
    this.#heardAtMs = this.#nowMs();
    this.#tell(this.#options.follower.status());
    const lookMs = Math.max(
      1,
      Math.min(settings.statusIntervalMs, settings.silenceMsMax / LOOKS_PER_SILENCE),
    );
    this.#timer = setInterval(() => this.#look(), lookMs);
    onStreaming();
  }

  copyData(piece: Buffer, offset: number, bodyBytes: number): void {
    this.#heardAtMs = this.#nowMs();
    this.#gatherer.copyData(piece, offset, bodyBytes);
  }

  /** Nothing is being written any more when it resolves. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#pump.stop();
  }

  #message(body: Buffer): void {
    if (body[0] === ReplicationTag.XLogData) {
      const { start, serverEnd } = readXLogDataHeader(body);
      this.#options.onArrived((start + BigInt(body.length - XLOG_DATA_HEADER_BYTES)) as Lsn);
      this.#options.onSourceLsn(serverEnd);
      this.#pump.push(body);
    } else if (body[0] === ReplicationTag.Keepalive) {
      const { serverEnd, reply } = readKeepalive(body);
      this.#options.onSourceLsn(serverEnd);
      if (reply === 'wanted') {
        this.#tell(this.#options.follower.status());
      }
    } else {
      const tag = `0x${body[0]?.toString(16)}`;
      throw backendProtocolError(
        'source_protocol_violation',
        `the source sent a message ${tag} among its WAL`,
      );
    }
  }

  async #write(messages: Buffer[]): Promise<void> {
    this.#tell(await this.#options.follower.write(messages));
  }

  #tell(status: Buffer): void {
    this.#toldAtMs = this.#nowMs();
    this.#connection.sendCopyData(status);
  }

  /** A source that is held back is silent by our own doing. */
  #look(): void {
    const { settings, follower } = this.#options;
    const now = this.#nowMs();
    if (this.#pump.paused) {
      this.#heardAtMs = now;
    }
    const silentMs = now - this.#heardAtMs;
    if (silentMs >= settings.silenceMsMax) {
      const seconds = Math.round(silentMs / 1000);
      this.#connection.destroy(importError('source_lost', `the source has said nothing for ${seconds} s`));
    } else if (silentMs >= (settings.silenceMsMax * ASKED_AFTER_LOOKS) / LOOKS_PER_SILENCE) {
      this.#tell(askingForReply(follower.status()));
    } else if (now - this.#toldAtMs >= settings.statusIntervalMs) {
      this.#tell(follower.status());
    }
  }
}

/** The last byte of a status update asks for a keepalive. */
function askingForReply(status: Buffer): Buffer {
  const asking = Buffer.from(status);
  asking[asking.length - 1] = 1;
  return asking;
}
