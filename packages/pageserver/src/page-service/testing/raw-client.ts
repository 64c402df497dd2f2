import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { FRAME_HEADER_BYTES, frameLengthField, InputBuffer } from '@offshoot/wire';
import type { PageServiceAddress } from '../page-listener.js';

/** A message from the server. */
export interface ServerMessage {
  readonly type: string;
  readonly body: Buffer;
}

/** A frame of a type with a body. */
export function frame(type: string, body: Uint8Array | string = ''): Buffer {
  const bytes = Buffer.from(body as string);
  const head = Buffer.alloc(FRAME_HEADER_BYTES, type);
  head.writeUInt32BE(bytes.length + 4, 1);
  return Buffer.concat([head, bytes]);
}

export const query = (text: string) => frame('Q', `${text}\0`);

/** A packet before the first message. */
export function packet(code: number, body = ''): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + body.length);
  head.writeUInt32BE(code, 4);
  return Buffer.concat([head, Buffer.from(body)]);
}

export const STARTUP = packet(0x30000, 'user\0test\0application_name\x0042\0\0');
export const SSL_REQUEST = packet(80877103);
export const GSSENC_REQUEST = packet(80877104);
export const CANCEL_REQUEST = packet(80877102, '12345678');

/** What a network client is made of: bytes out, bytes or messages in. */
export class RawClient {
  readonly #input = new InputBuffer();
  #ended = false;
  #wake: () => void = () => {};

  constructor(readonly socket: Socket) {
    socket.on('data', (chunk: Buffer) => {
      this.#input.append(chunk);
      this.#wake();
    });
    for (const event of ['end', 'close', 'error']) {
      socket.on(event, () => {
        this.#ended = true;
        this.#wake();
      });
    }
  }

  static async open(address: PageServiceAddress): Promise<RawClient> {
    const socket = connect({ ...connectOptions(address), allowHalfOpen: true } as NetConnectOpts);
    await new Promise((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new RawClient(socket);
  }

  /** Connected, and through the handshake. */
  static async ready(address: PageServiceAddress): Promise<RawClient> {
    const client = await RawClient.open(address);
    client.send(STARTUP);
    await client.until('Z');
    return client;
  }

  send(...bytes: Uint8Array[]): void {
    this.socket.write(Buffer.concat(bytes));
  }

  /** The next byte that is no message. */
  async byte(): Promise<string> {
    while (this.#input.length === 0) {
      await this.#more();
    }
    return String.fromCharCode(this.#input.take(1)[0] as number);
  }

  /** The next message, or undefined when the server has closed. */
  async message(): Promise<ServerMessage | undefined> {
    for (;;) {
      const { bytes, start, length } = this.#input;
      if (length >= FRAME_HEADER_BYTES && length > frameLengthField(bytes, start)) {
        const whole = Buffer.from(this.#input.take(frameLengthField(bytes, start) + 1));
        return { type: String.fromCharCode(whole[0] as number), body: whole.subarray(FRAME_HEADER_BYTES) };
      }
      if (this.#ended) {
        return undefined;
      }
      await this.#more().catch(() => {});
    }
  }

  /** Messages up to one of that type, which is the last; fewer when the server closes. */
  async until(type: string): Promise<ServerMessage[]> {
    const messages: ServerMessage[] = [];
    for (;;) {
      const message = await this.message();
      if (message === undefined) {
        return messages;
      }
      messages.push(message);
      if (message.type === type) {
        return messages;
      }
    }
  }

  /** All messages up to the server's close. */
  rest(): Promise<ServerMessage[]> {
    return this.until('');
  }

  close(): void {
    this.socket.destroy();
  }

  async #more(): Promise<void> {
    if (this.#ended) {
      throw new Error('the server has closed');
    }
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }
}

export function connectOptions(
  address: PageServiceAddress,
): { path: string } | { host: string; port: number } {
  if (address.startsWith('unix:')) {
    return { path: address.slice('unix:'.length) };
  }
  const [, host = '', port = ''] = address.split(':');
  return { host, port: Number(port) };
}

/** The types of messages in a row, such as `RSSSZ`. */
export const typesOf = (messages: readonly ServerMessage[]) => messages.map(({ type }) => type).join('');

/** SQLSTATE and text of an ErrorResponse. */
export function errorOf(message: ServerMessage | undefined): string {
  const fields = message?.body.toString().split('\0') ?? [];
  const field = (letter: string) => fields.find((text) => text.startsWith(letter))?.slice(1);
  return `${field('C')} ${field('M')}`;
}
