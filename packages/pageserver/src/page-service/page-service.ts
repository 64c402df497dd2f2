import type { Socket } from 'node:net';
import type { TLSSocketOptions } from 'node:tls';
import { baseError, type OffshootError } from '@offshoot/types';
import { FlightBudget } from './flight-budget.js';
import { type LeaseBook, MemoryLeaseBook } from './lease-book.js';
import { PageConnection, type PageConnectionServices } from './page-connection.js';
import {
  openPageListener,
  type PageListener,
  type PageListenerSpec,
  type PageServiceAddress,
  tlsOptionsOf,
} from './page-listener.js';
import { PageServiceCounters } from './page-service-counters.js';
import { pageServiceError } from './page-service-error.js';
import { type PageServiceSettings, pageServiceDefaults } from './page-service-settings.js';
import type { PageSource } from './page-source.js';
import type { TokenProvider } from './token-check.js';

export interface PageServiceOptions {
  readonly source: PageSource;
  readonly listeners: readonly PageListenerSpec[];
  /** Needed when a listener's `auth` is `token`. */
  readonly tokens?: TokenProvider;
  /** Default: leases that live as long as the service. */
  readonly leases?: LeaseBook;
  /** What differs from `pageServiceDefaults`. */
  readonly settings?: Partial<PageServiceSettings>;
  /** Told of errors of kind `alert`, once each. Must not throw. */
  readonly onAlert?: (error: OffshootError) => void;
}

/** Serves pages over the Postgres protocol on any number of listeners. */
export class PageService {
  readonly counters = new PageServiceCounters();
  readonly leases: LeaseBook;
  readonly #services: PageConnectionServices;
  readonly #budget: FlightBudget;
  readonly #listeners: PageListener[] = [];
  readonly #connections = new Map<PageConnection, Promise<void>>();
  #refused = 0;
  #stopping = false;

  private constructor(options: PageServiceOptions) {
    const settings = { ...pageServiceDefaults, ...options.settings };
    requireSense(settings, options);
    this.leases = options.leases ?? new MemoryLeaseBook(settings);
    this.#budget = new FlightBudget({
      perConnectionMax: settings.inFlightBytesPerConnectionMax,
      totalMax: settings.inFlightBytesTotalMax,
    });
    this.#services = {
      settings,
      source: options.source,
      leases: this.leases,
      tokens: options.tokens ?? (() => []),
      counters: this.counters,
      onAlert: options.onAlert ?? (() => {}),
    };
  }

  /** Opens all listeners, or none: rejects with `listen_failed`. */
  static async start(options: PageServiceOptions): Promise<PageService> {
    const service = new PageService(options);
    try {
      for (const spec of options.listeners) {
        const tls = tlsOptionsOf(spec);
        service.#listeners.push(await openPageListener(spec, (socket) => service.#accept(socket, spec, tls)));
      }
    } catch (error) {
      await service.close();
      throw error;
    }
    return service;
  }

  /** Where it listens, in the order of the listeners' specs. */
  get addresses(): readonly PageServiceAddress[] {
    return this.#listeners.map(({ address }) => address);
  }

  /** Bytes being made or waiting to be written now. */
  get bytesInFlight(): number {
    return this.#budget.held;
  }

  /**
   * Stops accepting, ends every connection with 57P01 and resolves when nothing runs any more. A second call waits for
   * the same end.
   */
  async close(): Promise<void> {
    this.#stopping = true;
    const closed = this.#listeners.map((listener) => listener.close());
    const error = pageServiceError('page_service_stopping', 'the page server is shutting down');
    const running = [...this.#connections];
    for (const [connection] of running) {
      connection.stop(error);
    }
    await Promise.all(running.map(([, run]) => run));
    // Sockets linger for clients to read the farewell; `server.close` waits for them.
    await Promise.all(closed);
  }

  #accept(socket: Socket, { auth }: PageListenerSpec, tls: TLSSocketOptions | undefined): void {
    const { connectionsMax, connectionsRefusedMax } = this.#services.settings;
    const full = this.#connections.size - this.#refused >= connectionsMax;
    if (this.#stopping || (full && this.#refused >= connectionsRefusedMax)) {
      this.counters.connectionsRefused++;
      socket.on('error', () => {});
      socket.destroy();
      return;
    }
    const refusal = full ? pageServiceError('too_many_connections', 'too many connections') : undefined;
    const account = this.#budget.account();
    this.#track(new PageConnection(this.#services, { socket, account, auth, tls, refusal }), refusal);
  }

  #track(connection: PageConnection, refusal: OffshootError | undefined): void {
    this.#refused += refusal ? 1 : 0;
    this.counters.connectionsRefused += refusal ? 1 : 0;
    this.counters.connectionsAccepted += refusal ? 0 : 1;
    this.counters.connectionsOpen += 1;
    const run = connection.run().then(() => {
      this.#connections.delete(connection);
      this.#refused -= refusal ? 1 : 0;
      this.counters.connectionsOpen -= 1;
    });
    this.#connections.set(connection, run);
  }
}

function requireSense(settings: PageServiceSettings, options: PageServiceOptions): void {
  for (const [name, value] of Object.entries(settings)) {
    if (!Number.isInteger(value) || value < 1) {
      throw baseError('invalid_argument', `${name} is ${value}: a whole number from 1 on is needed`);
    }
  }
  if (settings.inputBytesMax <= settings.frameBytesMax) {
    throw baseError('invalid_argument', 'inputBytesMax must exceed frameBytesMax: one message has to fit');
  }
  if (options.tokens === undefined && options.listeners.some(({ auth }) => auth === 'token')) {
    throw baseError('invalid_argument', 'a listener asks for tokens, but there is no token provider');
  }
}
