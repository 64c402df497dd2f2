import { once } from 'node:events';
import net from 'node:net';
import type { Lsn } from '@offshoot/types';
import {
  BackendDeframer,
  CopyDataGatherer,
  type PagestreamRequest,
  type PagestreamResponse,
  pagestreamRequestFrame,
  parsePagestreamResponse,
} from '@offshoot/wire';
import type { Place } from './full-backup.js';

const VERSION = 3;
const FRAME_BYTES_MAX = 1 << 20;

/** A client of the page service that reads everything at one LSN. */
export class PageStream implements Disposable {
  readonly #answers: PagestreamResponse[] = [];
  #began = false;
  #failure: Error | undefined;
  #wake: () => void = () => {};

  private constructor(
    private readonly socket: net.Socket,
    private readonly lsn: Lsn,
  ) {
    const gatherer = new CopyDataGatherer(FRAME_BYTES_MAX, (body) =>
      this.#answers.push(parsePagestreamResponse(VERSION, body)),
    );
    const deframer = new BackendDeframer(
      {
        frame: (frame) => this.#control(frame),
        copyData: (piece, offset, bytes) => gatherer.copyData(piece, offset, bytes),
      },
      FRAME_BYTES_MAX,
    );
    socket.on('data', (chunk) => {
      deframer.push(chunk);
      this.#wake();
    });
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the page service closed the connection')));
  }

  static async open({ socket: path, tenant, timeline }: Place, lsn: Lsn): Promise<PageStream> {
    const socket = net.connect(path);
    await once(socket, 'connect');
    const stream = new PageStream(socket, lsn);
    socket.write(startup());
    socket.write(message('Q', Buffer.from(`pagestream_v${VERSION} ${tenant} ${timeline}\0`)));
    await stream.#until(() => stream.#began);
    return stream;
  }

  /** The answers, in the order of the requests. */
  async ask(requests: readonly PagestreamRequest[]): Promise<PagestreamResponse[]> {
    const header = { requestId: 0n, requestLsn: this.lsn, notModifiedSince: this.lsn };
    this.socket.write(
      Buffer.concat(requests.map((request) => pagestreamRequestFrame(VERSION, header, request))),
    );
    await this.#until(() => this.#answers.length >= requests.length);
    return this.#answers.splice(0);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  #control(frame: Buffer): void {
    const type = String.fromCharCode(frame[0] ?? 0);
    if (type === 'W') this.#began = true;
    if (type === 'E') this.#fail(new Error(`the page service says: ${frame.subarray(5).toString('latin1')}`));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }

  async #until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

function startup(): Buffer {
  const body = Buffer.from('user\0x\0database\0x\0\0');
  return Buffer.concat([int32(8 + body.length), int32(196608), body]);
}

function message(type: string, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(type), int32(4 + body.length), body]);
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
