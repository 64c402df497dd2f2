import type { Socket } from 'node:net';
import type { TLSSocketOptions } from 'node:tls';
import { asOffshootError, baseError, type OffshootError } from '@offshoot/types';
import type { FlightAccount } from './flight-budget.js';
import type { LeaseBook } from './lease-book.js';
import type { PageServiceCounters } from './page-service-counters.js';
import { pageServiceError } from './page-service-error.js';
import type { PageServiceSettings } from './page-service-settings.js';
import { PageSession } from './page-session.js';
import type { PageSource } from './page-source.js';
import { runCommand } from './run-command.js';
import { servePages } from './serve-pages.js';
import type { RunnableCommand, ServeEffect, SessionEffect } from './session-effect.js';
import { SocketChannel } from './socket-channel.js';
import { checkToken, type TokenProvider, type TokenScope } from './token-check.js';

/** What all connections of a page service share. */
export interface PageConnectionServices {
  readonly source: PageSource;
  readonly leases: LeaseBook;
  readonly tokens: TokenProvider;
  readonly settings: PageServiceSettings;
  readonly counters: PageServiceCounters;
  /** Told of errors of kind `alert`, once each. */
  readonly onAlert: (error: OffshootError) => void;
}

export interface PageConnectionOptions {
  readonly socket: Socket;
  readonly account: FlightAccount;
  readonly auth: 'trust' | 'token';
  /** Absent: no TLS here. */
  readonly tls?: TLSSocketOptions | undefined;
  /** When set, the client is told this instead of being served. */
  readonly refusal?: OffshootError | undefined;
}

/** Runs one session over one socket: reads, performs the session's effects in order, writes. */
export class PageConnection {
  readonly #services: PageConnectionServices;
  readonly #options: PageConnectionOptions;
  readonly #session: PageSession;
  readonly #channel: SocketChannel;
  readonly #lifetime = new AbortController();
  #wake: (() => void) | undefined;
  #paused = false;
  #inputEnded = false;
  #working = false;
  #stopping: OffshootError | undefined;

  constructor(services: PageConnectionServices, options: PageConnectionOptions) {
    this.#services = services;
    this.#options = options;
    const { settings, counters } = services;
    this.#session = new PageSession({
      ...settings,
      auth: options.auth,
      tls: options.tls === undefined ? 'none' : 'required',
      refusal: options.refusal,
      onCommand: (name) => counters.countCommand(name),
      onError: (error) => this.#report(error, 1),
    });
    this.#channel = new SocketChannel(options.socket, {
      account: options.account,
      idleTimeoutMs: settings.idleTimeoutMs,
      closeLingerMs: settings.closeLingerMs,
      onBytes: (chunk) => this.#onBytes(chunk),
      onEnd: () => this.#onEnd(),
      onClose: () => this.#onClose(),
      onIdle: () => this.#onIdle(),
      onSent: (bytes) => {
        counters.bytesSent += bytes;
      },
    });
  }

  /** Resolves when the connection has come to its end and nothing of it runs any more. Never rejects. */
  async run(): Promise<void> {
    const handshake = setTimeout(
      () => this.#onHandshakeTimeout(),
      this.#services.settings.handshakeTimeoutMs,
    );
    try {
      await this.#loop();
      this.#channel.end();
    } catch (error) {
      // Effects hand their errors to the session; what comes here is a mistake in the program.
      this.#report(asOffshootError(error), 1);
      this.#channel.destroy();
    } finally {
      clearTimeout(handshake);
    }
    await this.#channel.gone;
  }

  /** Ends what is running as soon as it can be ended, tells the client why, and closes. */
  stop(error: OffshootError): void {
    this.#stopping = error;
    this.#lifetime.abort(error);
    this.#channel.wake();
    this.#wakeLoop();
    // What waits for the client itself, as a TLS handshake does, hears nothing of this.
    setTimeout(() => this.#channel.destroy(), this.#services.settings.closeLingerMs).unref();
  }

  /** Cuts the connection off. */
  destroy(): void {
    this.#channel.destroy();
  }

  async #loop(): Promise<void> {
    while (!this.#channel.closed) {
      const allowance = this.#channel.allowance();
      if (allowance === 0 && this.#stopping === undefined) {
        await this.#channel.changed();
        continue;
      }
      if (this.#stopping !== undefined) {
        this.#session.end(this.#stopping);
      }
      const effect = this.#session.next(allowance);
      this.#readOn();
      if (effect !== undefined) {
        if (effect.do === 'close') {
          return;
        }
        await this.#perform(effect);
      } else if (this.#inputEnded) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  #perform(effect: Exclude<SessionEffect, { do: 'close' }>): Promise<void> | undefined {
    switch (effect.do) {
      case 'write':
        this.#channel.write(effect.bytes);
        return undefined;
      case 'start-tls':
        return this.#startTls(effect.unread);
      case 'check-token':
        return this.#checkToken(effect.token);
      case 'run':
        return this.#run(effect.command);
      case 'serve':
        return this.#serve(effect);
    }
  }

  async #startTls(unread: Uint8Array): Promise<void> {
    this.#session.tlsStarted();
    this.#paused = false;
    await this.#channel.startTls(this.#options.tls ?? {}, unread);
  }

  async #checkToken(token: string): Promise<void> {
    let scope: TokenScope | undefined;
    try {
      scope = await checkToken(token, this.#services.tokens);
    } catch (cause) {
      // Whoever is not received yet learns nothing of what is broken here.
      this.#session.end(baseError('internal', 'the token could not be checked', { cause }));
      return;
    }
    this.#session.tokenChecked(scope);
  }

  async #run(command: RunnableCommand): Promise<void> {
    this.#working = true;
    try {
      await runCommand(command, {
        ...this.#services,
        signal: this.#lifetime.signal,
        write: (...parts) => this.#channel.write(...parts),
        room: () => this.#room(),
      });
      this.#session.ran();
    } catch (error) {
      this.#session.ran(asOffshootError(error));
    } finally {
      this.#working = false;
    }
  }

  async #serve(effect: ServeEffect): Promise<void> {
    const { account } = this.#options;
    this.#services.counters.countRequests(effect.frames);
    // Replies are accounted for before they exist, and hand their part over to the channel when they are written.
    let reserved = effect.replyBytes;
    account.hold(reserved);
    this.#working = true;
    const failure = await servePages(effect, {
      source: this.#services.source,
      lsnWaitTimeoutMs: this.#services.settings.lsnWaitTimeoutMs,
      signal: this.#lifetime.signal,
      write: (frames) => {
        const part = Math.min(reserved, frames.length);
        account.release(part);
        reserved -= part;
        this.#channel.write(frames);
      },
      onError: (error, requests) => this.#report(error, requests),
    });
    this.#working = false;
    account.release(reserved);
    this.#session.served(failure);
  }

  /** Waiting for a slow reader is no work: the idle time runs. */
  async #room(): Promise<void> {
    this.#working = false;
    while (!this.#lifetime.signal.aborted && this.#channel.allowance() === 0) {
      await this.#channel.changed();
    }
    this.#working = true;
  }

  #onBytes(chunk: Buffer): void {
    this.#services.counters.bytesReceived += chunk.length;
    this.#session.receive(chunk);
    if (this.#session.inputBytes >= this.#services.settings.inputBytesMax) {
      this.#paused = true;
      this.#channel.pause();
    }
    this.#wakeLoop();
  }

  #readOn(): void {
    if (this.#paused && this.#session.inputBytes < this.#services.settings.inputBytesMax) {
      this.#paused = false;
      this.#channel.resume();
    }
  }

  #onEnd(): void {
    this.#inputEnded = true;
    this.#wakeLoop();
  }

  #onClose(): void {
    this.#lifetime.abort(pageServiceError('connection_lost', 'the client is gone'));
    this.#wakeLoop();
  }

  #onIdle(): void {
    if (!this.#working) {
      this.#channel.destroy();
    }
  }

  #onHandshakeTimeout(): void {
    if (!this.#session.received) {
      this.#channel.destroy();
    }
  }

  #wakeLoop(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #report(error: OffshootError, times: number): void {
    this.#services.counters.countError(error.code, times);
    if (error.kind === 'alert') {
      this.#services.onAlert(error);
    }
  }
}
