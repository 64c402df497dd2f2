import type { Socket } from 'node:net';
import { TLSSocket, type TLSSocketOptions } from 'node:tls';
import type { FlightAccount } from './flight-budget.js';

export interface SocketChannelEvents {
  /** Bytes came; they belong to the receiver. */
  readonly onBytes: (chunk: Buffer) => void;
  /** The client will send no more. */
  readonly onEnd: () => void;
  /** The connection is gone, by whomever. */
  readonly onClose: () => void;
  /** Nothing was read or written for the idle time. */
  readonly onIdle: () => void;
}

export interface SocketChannelOptions extends SocketChannelEvents {
  readonly account: FlightAccount;
  readonly idleTimeoutMs: number;
  readonly closeLingerMs: number;
  readonly onSent: (bytes: number) => void;
}

/** A client's socket: accounts for what is written and not yet gone, and can turn into TLS once. */
export class SocketChannel {
  /** Resolves when the connection is gone. */
  readonly gone: Promise<void>;
  #resolveGone: () => void = () => {};
  #socket: Socket;
  readonly #options: SocketChannelOptions;
  #waiting: (() => void)[] = [];
  #forget: () => void = () => {};
  #unwritten = 0;
  #closed = false;
  #ending = false;

  constructor(socket: Socket, options: SocketChannelOptions) {
    this.#socket = socket;
    this.#options = options;
    this.gone = new Promise((resolve) => {
      this.#resolveGone = resolve;
    });
    socket.setNoDelay(true);
    this.#listen();
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Bytes that may be put in flight now; 0 when `changed` must be awaited first. */
  allowance(): number {
    return this.#options.account.allowance();
  }

  /** Sends at once, in order. The parts leave together, uncopied. */
  write(...parts: Uint8Array[]): void {
    if (this.#closed || this.#ending) {
      return;
    }
    this.#socket.cork();
    for (const part of parts) {
      const { length } = part;
      this.#options.account.hold(length);
      this.#unwritten += length;
      this.#socket.write(part, () => this.#written(length));
    }
    this.#socket.uncork();
  }

  /** Resolves when something written is gone, when the connection is, or by `wake`. Await it in a loop. */
  changed(): Promise<void> {
    return this.#closed ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve));
  }

  wake(): void {
    const waiting = this.#waiting;
    if (waiting.length > 0) {
      this.#waiting = [];
      for (const resolve of waiting) {
        resolve();
      }
    }
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Goes on in TLS, beginning with bytes that were received already. Resolves when it is established or gone. */
  async startTls(options: TLSSocketOptions, unread: Uint8Array): Promise<void> {
    const plain = this.#socket;
    this.#forget();
    plain.setTimeout(0);
    // What happens to it is told by the TLS socket on top.
    plain.on('error', () => {});
    plain.pause();
    plain.unshift(unread);
    const secure = new TLSSocket(plain, { ...options, isServer: true });
    this.#socket = secure;
    const settled = new Promise<void>((resolve) => {
      secure.once('secure', resolve);
      secure.once('close', () => resolve());
    });
    this.#listen();
    await settled;
  }

  /** Ends the connection once all is written; a client that does not take it in time is cut off. */
  end(): void {
    if (this.#closed || this.#ending) {
      return;
    }
    this.#ending = true;
    this.#socket.end();
    // Reading on keeps the system from answering unread bytes with a reset, which could overtake our last words.
    this.#socket.resume();
    setTimeout(() => this.destroy(), this.#options.closeLingerMs).unref();
  }

  destroy(): void {
    this.#socket.destroy();
    this.#close();
  }

  #listen(): void {
    const socket = this.#socket;
    const { onEnd, idleTimeoutMs } = this.#options;
    const handlers = {
      data: (chunk: Buffer) => this.#onData(chunk),
      end: onEnd,
      close: () => this.#close(),
      // A client that vanishes is no news.
      error: () => this.destroy(),
      timeout: () => this.#onTimeout(),
    };
    for (const [event, handler] of Object.entries(handlers)) {
      socket.on(event, handler);
    }
    this.#forget = () => {
      for (const [event, handler] of Object.entries(handlers)) {
        socket.off(event, handler);
      }
    };
    socket.setTimeout(idleTimeoutMs);
  }

  #onData(chunk: Buffer): void {
    if (!this.#ending) {
      this.#options.onBytes(chunk);
    }
  }

  #onTimeout(): void {
    // The timer rests after it has fired.
    this.#socket.setTimeout(this.#options.idleTimeoutMs);
    this.#options.onIdle();
  }

  #written(bytes: number): void {
    if (this.#closed) {
      return;
    }
    this.#options.account.release(bytes);
    this.#unwritten -= bytes;
    this.#options.onSent(bytes);
    this.wake();
  }

  #close(): void {
    if (!this.#closed) {
      this.#closed = true;
      this.#options.account.release(this.#unwritten);
      this.wake();
      this.#options.onClose();
      this.#resolveGone();
    }
  }
}
