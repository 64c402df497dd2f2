import type { Socket } from 'node:net';
import { type Answer, message } from '../../import/testing/fake-source.js';

/** An XLogData message. */
export function xlogData(start: bigint, wal: Buffer, serverEnd: bigint = start + BigInt(wal.length)): Buffer {
  const head = Buffer.alloc(25);
  head.write('w');
  head.writeBigUInt64BE(start, 1);
  head.writeBigUInt64BE(serverEnd, 9);
  return message('d', head, wal);
}

export function keepalive(serverEnd: bigint, reply: 'wanted' | 'not-wanted'): Buffer {
  const body = Buffer.alloc(18);
  body.write('k');
  body.writeBigUInt64BE(serverEnd, 1);
  body[17] = reply === 'wanted' ? 1 : 0;
  return message('d', body);
}

/** Answers START_REPLICATION; remembers what standbys tell. */
export class FakeWalsender {
  /** Flushed LSNs of status updates, and whether they asked for a word. */
  readonly statuses: { flushed: bigint; asks: boolean }[] = [];
  readonly sockets: Socket[] = [];

  /** `send` is called once streaming has begun. */
  answer(send: (socket: Socket) => void = () => {}): Answer {
    return (socket) => {
      this.sockets.push(socket);
      socket.on('data', (bytes) => this.#read(bytes));
      socket.write(message('W', Buffer.from([0, 0, 0])));
      send(socket);
    };
  }

  #read(bytes: Buffer): void {
    for (let at = 0; at + 5 <= bytes.length; at += 1 + bytes.readUInt32BE(at + 1)) {
      if (bytes[at] === 'd'.charCodeAt(0) && bytes[at + 5] === 'r'.charCodeAt(0)) {
        this.statuses.push({ flushed: bytes.readBigUInt64BE(at + 14), asks: bytes[at + 38] === 1 });
      }
    }
  }
}
