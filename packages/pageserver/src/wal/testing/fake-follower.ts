import type { WalFollower } from '@offshoot/engine';
import type { Lsn, OffshootError } from '@offshoot/types';
import {
  ReplicationTag,
  readXLogDataHeader,
  writeStatusUpdate,
  XLOG_DATA_HEADER_BYTES,
} from '@offshoot/wire';

/** A log in memory, where everything is indexed at once. */
export class FakeFollower {
  readonly wal: Buffer[] = [];
  writes = 0;
  closed = false;
  failed: OffshootError | undefined;
  /** Awaited by each write; may reject. */
  gate: () => Promise<void> = async () => {};

  constructor(public received: Lsn) {}

  get follower(): WalFollower {
    return this as unknown as WalFollower;
  }

  get progress() {
    return { indexed: this.received, settled: this.received };
  }

  receivedLsn(): Lsn {
    return this.received;
  }

  failure(): OffshootError | undefined {
    return this.failed;
  }

  async write(messages: Buffer[]): Promise<Buffer> {
    this.writes += 1;
    await this.gate();
    for (const message of messages) {
      if (message[0] !== ReplicationTag.XLogData || readXLogDataHeader(message).start !== this.received) {
        throw new Error(`not what was next: ${message.toString('hex')}`);
      }
      this.wal.push(message.subarray(XLOG_DATA_HEADER_BYTES));
      this.received = (this.received + BigInt(message.length - XLOG_DATA_HEADER_BYTES)) as Lsn;
    }
    return this.status();
  }

  status(): Buffer {
    const at = this.received;
    return writeStatusUpdate({ written: at, flushed: at, applied: at, sentAtMs: 0, reply: 'not-wanted' });
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}
