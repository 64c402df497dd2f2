import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { FRAME_HEADER_BYTES, frameLengthField } from '@offshoot/wire';

/** A message, in the form of `typesOf` and `errorOf`. */
export interface Message {
  readonly type: string;
  readonly body: Buffer;
}

/** One end of a connection: bytes out, bytes or messages in. */
export class Peer {
  /** How the other side ended it. */
  ending: 'ended' | 'reset' | undefined;
  readonly closed: Promise<void>;
  #chunks: Buffer[] = [];
  #length = 0;
  #wake: () => void = () => {};

  constructor(readonly socket: Socket) {
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#length += chunk.length;
      this.#wake();
    });
    const end = (how: 'ended' | 'reset') => {
      this.ending ??= how;
      this.#wake();
    };
    socket.on('end', () => end('ended'));
    socket.on('error', () => end('reset'));
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        end('ended');
        resolve();
      });
    });
  }

  static async open(port: number): Promise<Peer> {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    await new Promise((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new Peer(socket);
  }

  /** Over this connection, or a new one to a port. */
  static async secured(base: Peer | number, options: ConnectionOptions = {}): Promise<Peer> {
    const where =
      typeof base === 'number' ? { host: '127.0.0.1', port: base } : { socket: base.#givenAway() };
    const socket = connectTls({ ...where, rejectUnauthorized: false, ...options });
    const peer = new Peer(socket);
    await new Promise((resolve, reject) => {
      socket.once('secureConnect', resolve);
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('closed amid the TLS handshake')));
    });
    return peer;
  }

  send(...bytes: (Uint8Array | string)[]): void {
    this.socket.write(Buffer.concat(bytes.map((part) => Buffer.from(part as string, 'latin1'))));
  }

  /** The next bytes; fewer when the other side has ended. */
  async bytes(count: number): Promise<Buffer> {
    while (this.#length < count && this.ending === undefined) await this.#more();
    return this.#take(Math.min(count, this.#length));
  }

  /** The next message, or undefined when the other side has ended. */
  async message(): Promise<Message | undefined> {
    const whole = () =>
      this.#length >= FRAME_HEADER_BYTES && this.#length > frameLengthField(this.#joined(), 0);
    while (!whole() && this.ending === undefined) await this.#more();
    if (!whole()) return undefined;
    const frame = this.#take(frameLengthField(this.#joined(), 0) + 1);
    return { type: String.fromCharCode(frame[0] as number), body: frame.subarray(FRAME_HEADER_BYTES) };
  }

  /** Messages up to one of that type, or to the end. */
  async until(type: string): Promise<Message[]> {
    const messages: Message[] = [];
    for (;;) {
      const message = await this.message();
      if (message !== undefined) messages.push(message);
      if (message === undefined || message.type === type) return messages;
    }
  }

  /** Everything up to the end, which is answered with our own. */
  async rest(): Promise<Buffer> {
    while (this.ending === undefined) await this.#more();
    this.socket.end();
    return this.#take(this.#length);
  }

  #take(count: number): Buffer {
    const joined = this.#joined();
    this.#chunks = [joined.subarray(count)];
    this.#length -= count;
    return joined.subarray(0, count);
  }

  #joined(): Buffer {
    const joined = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
    this.#chunks = [joined];
    return joined;
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #givenAway(): Socket {
    this.socket.removeAllListeners('data');
    return this.socket;
  }
}

export const typesOf = (messages: readonly Message[]) => messages.map(({ type }) => type).join('');

/** SQLSTATE and text of an ErrorResponse. */
export function errorOf(message: Message | undefined): string {
  const fields = message?.body.toString().split('\0') ?? [];
  const field = (letter: string) => fields.find((text) => text.startsWith(letter))?.slice(1);
  return message === undefined ? 'nothing' : `${field('S')} ${field('C')} ${field('M')}`;
}
