import type { Socket } from 'node:net';
import { TLSSocket, type TLSSocketOptions } from 'node:tls';
import type { TlsFacts } from './client-handshake.js';

export interface ClientSocketOptions {
  readonly closeLingerMs: number;
  /** Bytes came; they belong to the receiver. Until `handOver`. */
  readonly onBytes: (chunk: Buffer) => void;
  /** The client has closed its side, or the connection is gone. Until `handOver`. */
  readonly onLeft: () => void;
}

/** A client's socket: can turn into TLS once, and be given away once; the end of it stays here. */
export class ClientSocket {
  /** Resolves when the connection is gone. */
  readonly gone: Promise<void>;
  readonly #plain: Socket;
  readonly #options: ClientSocketOptions;
  #socket: Socket;
  #resolveGone: () => void = () => {};
  #forget: () => void = () => {};
  #ending = false;
  #elsewhere = false;

  constructor(socket: Socket, options: ClientSocketOptions) {
    this.#plain = socket;
    this.#socket = socket;
    this.#options = options;
    this.gone = new Promise((resolve) => {
      this.#resolveGone = resolve;
    });
    this.#adopt(socket);
  }

  /** What carries the client's bytes: the TLS socket once there is one. */
  get socket(): Socket {
    return this.#socket;
  }

  get destroyed(): boolean {
    return this.#socket.destroyed;
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  pause(): void {
    this.#socket.pause();
  }

  /** Goes on in TLS, beginning with bytes that were received already. Never resolves when the connection ends instead. */
  async startTls(options: TLSSocketOptions, unread: Uint8Array): Promise<TlsFacts> {
    this.#forget();
    this.#plain.pause();
    this.#plain.unshift(unread);
    const secure = new TLSSocket(this.#plain, { ...options, isServer: true });
    this.#socket = secure;
    const established = new Promise((resolve) => secure.once('secure', resolve));
    this.#adopt(secure);
    await established;
    return { serverName: serverNameOf(secure), protocol: secure.alpnProtocol || undefined };
  }

  /** Nothing is listened to any more, and nothing read; the caller does both from here on. */
  handOver(): Socket {
    this.#forget();
    this.#socket.pause();
    return this.#socket;
  }

  /** The connection is somebody else's, who has its descriptor, too; it is gone when that says so. */
  leaveTo(gone: Promise<void>): void {
    this.#forget();
    this.#ending = true;
    this.#elsewhere = true;
    gone.then(this.#resolveGone);
  }

  /** Ends the connection once all is written; a client that does not take it in time is cut off. */
  end(lastWords?: Uint8Array): void {
    if (this.#startsEnding()) {
      this.#socket.end(lastWords ?? '');
      // Reading on keeps the system from answering unread bytes with a reset, which could overtake our last words.
      this.#socket.resume();
    }
  }

  /** Ends the connection as soon as the system has taken the last words, whether the client takes them or not. */
  endAtOnce(lastWords: Uint8Array): void {
    if (this.#startsEnding()) {
      this.#socket.end(lastWords, () => this.#socket.destroy());
    }
  }

  /** Breaks the connection off once all is written: the client sees that it did not end in order. */
  breakOff(): void {
    if (this.#startsEnding()) {
      if (this.#socket.writableLength === 0) {
        this.reset();
      } else {
        this.#socket.write('', () => this.reset());
      }
    }
  }

  /** Breaks the connection off. */
  reset(): void {
    if (!this.#plain.destroyed) {
      this.#plain.resetAndDestroy();
    }
    this.#socket.destroy();
  }

  #startsEnding(): boolean {
    if (this.#ending || this.destroyed) {
      return false;
    }
    this.#ending = true;
    this.#forget();
    const timer = setTimeout(() => this.reset(), this.#options.closeLingerMs);
    this.#socket.once('close', () => clearTimeout(timer));
    return true;
  }

  #adopt(socket: Socket): void {
    const { onBytes, onLeft } = this.#options;
    socket.on('data', onBytes);
    socket.on('end', onLeft);
    socket.on('close', onLeft);
    // A client that vanishes is no news.
    socket.on('error', () => {});
    socket.on('close', () => {
      if (socket === this.#socket && !this.#elsewhere) {
        this.#resolveGone();
      }
    });
    this.#forget = () => {
      socket.off('data', onBytes);
      socket.off('end', onLeft);
      socket.off('close', onLeft);
    };
  }
}

/** Node.js sets it on a server's side; its types know the client's side only. */
function serverNameOf(socket: TLSSocket): string | undefined {
  const { servername } = socket as { servername?: unknown };
  return typeof servername === 'string' && servername !== '' ? servername : undefined;
}
