import { randomBytes } from 'node:crypto';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, type TLSSocketOptions } from 'node:tls';
import { SplicePump } from '@offshoot/engine';
import { asOffshootError, baseError, type OffshootError } from '@offshoot/types';
import type { BranchHost } from './branch-host.js';
import { BranchTurns } from './branch-turns.js';
import { CancelKeys, type RandomBytes } from './cancel-keys.js';
import { GatewayConnection, type GatewayConnectionServices } from './gateway-connection.js';
import { GatewayCounters } from './gateway-counters.js';
import { gatewayError } from './gateway-errors.js';
import type { GatewayObserver } from './gateway-observer.js';
import { type GatewaySettings, gatewayDefaults } from './gateway-settings.js';
import { peerOf } from './peer-of.js';
import { SilentClients } from './silent-clients.js';
import { StrangerWakes } from './stranger-wakes.js';

/** `require` refuses whoever does not begin TLS; `off` has none. Key and certificate are PEM. */
export type GatewayTls =
  | { readonly policy: 'off' }
  | {
      readonly policy: 'allow' | 'require';
      readonly key: string | Buffer;
      readonly cert: string | Buffer;
    };

export interface GatewayOptions {
  readonly host: BranchHost;
  /** Port 0 chooses a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly tls: GatewayTls;
  /** `db.example.com`: in TLS, the host name `try-1.db.example.com` names branch `try-1`. */
  readonly sniDomain?: string | undefined;
  /** What differs from `gatewayDefaults`. */
  readonly settings?: Partial<GatewaySettings> | undefined;
  readonly observer?: Partial<GatewayObserver> | undefined;
  /** Told of errors of kind `alert`, once per code and `alertIntervalMs`. Must not throw. */
  readonly onAlert?: ((error: OffshootError) => void) | undefined;
  /** Milliseconds; default: `performance.now`. */
  readonly now?: (() => number) | undefined;
  /** Default: node:crypto's. */
  readonly randomBytes?: RandomBytes | undefined;
}

/** Of connections of one kind. */
interface Places {
  readonly max: number;
  taken: number;
  readonly silent: SilentClients;
}

/** Also when somebody who has said nothing makes some. */
function hasRoom({ max, taken, silent }: Places, peer: string): boolean {
  return taken < max || silent.makeRoomFor(peer);
}

const silent: GatewayObserver = { handedOver() {}, refused() {}, left() {}, ended() {} };

/** The front door: one TCP port where clients name a branch and are connected to its compute. */
export class Gateway {
  readonly counters = new GatewayCounters();
  readonly #services: GatewayConnectionServices;
  readonly #server: Server;
  readonly #connections = new Map<GatewayConnection, Promise<void>>();
  readonly #perBranch = new Map<string, number>();
  readonly #alerted = new Map<string, number>();
  readonly #onAlert: (error: OffshootError) => void;
  #address = { host: '', port: 0 };
  readonly #served: Places;
  readonly #refusing: Places;
  #closed: Promise<void> | undefined;
  #stopping = false;

  private constructor(options: GatewayOptions) {
    const settings = { ...gatewayDefaults, ...options.settings };
    requireSense(settings);
    const now = options.now ?? (() => performance.now());
    this.#onAlert = options.onAlert ?? (() => {});
    const { handshakeGraceMs, connectionsMax, connectionsRefusedMax } = settings;
    this.#served = { max: connectionsMax, taken: 0, silent: new SilentClients(handshakeGraceMs, now) };
    this.#refusing = {
      max: connectionsRefusedMax,
      taken: 0,
      silent: new SilentClients(handshakeGraceMs, now),
    };
    this.#services = {
      host: options.host,
      settings,
      counters: this.counters,
      observer: { ...silent, ...options.observer },
      cancelKeys: new CancelKeys(options.randomBytes ?? randomBytes),
      tls: { policy: options.tls.policy, options: tlsOptions(options.tls, settings) },
      sniDomain: options.sniDomain,
      now,
      strangers: strangersOf(settings, now),
      enter: (branch) => this.#enter(branch),
      turns: new BranchTurns(settings.startupsPerBranchMax),
      pump: this.#pump(settings),
      onAlert: (error) => this.#alert(error),
    };
    const { keepAliveIdleMs, socketBufferBytes } = settings;
    this.#server = createServer(
      {
        // A client may close its sending half after its last request and still wants the answers.
        allowHalfOpen: true,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: keepAliveIdleMs,
        highWaterMark: socketBufferBytes,
      },
      (socket) => this.#accept(socket),
    );
  }

  /** Rejects with `gateway_listen_failed`, or `invalid_argument` for settings, key and certificate. */
  static async start(options: GatewayOptions): Promise<Gateway> {
    const gateway = new Gateway(options);
    try {
      await gateway.#listen(options.listen);
      return gateway;
    } catch (error) {
      gateway.#services.pump?.close();
      throw error;
    }
  }

  /** Where it listens, or did until it was retired. */
  get address(): { readonly host: string; readonly port: number } {
    return this.#address;
  }

  /** Sessions that can be cancelled. */
  get cancelKeys(): number {
    return this.#services.cancelKeys.size;
  }

  /** Bytes from computes and clients that are held here, since the other side does not take them yet. */
  get bytesHeld(): number {
    const pumped = this.#services.pump?.sums.bytesHeld ?? 0;
    return [...this.#connections.keys()].reduce((sum, { bytesHeld }) => sum + bytesHeld, pumped);
  }

  /**
   * Takes no more connections, and ends with 57P01 those that are not handed over yet. The others end with their
   * computes, whose own last words they get, or with `close`.
   */
  retire(): void {
    this.#stopping = true;
    this.#closed ??= new Promise((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections.keys()) {
      connection.stop(stopping());
    }
  }

  /** Ends all connections and resolves when nothing runs any more. A second call waits for the same end. */
  async close(): Promise<void> {
    this.retire();
    for (const connection of this.#connections.keys()) {
      connection.cut(stopping());
    }
    await Promise.all(this.#connections.values());
    await this.#closed;
    this.#services.pump?.close();
  }

  /** Without one all is served all the same, if slower. */
  #pump(settings: GatewaySettings): SplicePump | undefined {
    const { spliceThreads, spliceTurnBytes, socketBufferBytes, closeLingerMs } = settings;
    if (spliceThreads === 0 || process.platform !== 'linux') {
      return undefined;
    }
    try {
      const pump = SplicePump.start({
        threads: spliceThreads,
        bufferBytes: socketBufferBytes,
        turnBytes: spliceTurnBytes,
        lingerMs: closeLingerMs,
      });
      this.counters.include(() => pump.sums);
      return pump;
    } catch (error) {
      this.#onAlert(asOffshootError(error));
      return undefined;
    }
  }

  #listen({ host, port }: GatewayOptions['listen']): Promise<void> {
    return new Promise((resolve, reject) => {
      const failed = (cause: Error) => {
        const message = `the gateway cannot listen on ${host}:${port}: ${cause.message}`;
        reject(gatewayError('gateway_listen_failed', message, { cause }));
      };
      this.#server.once('error', failed);
      this.#server.listen({ host, port, backlog: this.#services.settings.connectionsMax }, () => {
        this.#server.off('error', failed);
        // Accepting may fail when file descriptors run out; the next connection finds the listener still there.
        this.#server.on('error', () => {});
        const { address, port } = this.#server.address() as AddressInfo;
        this.#address = { host: address, port };
        resolve();
      });
    });
  }

  #accept(socket: Socket): void {
    const peer = peerOf(socket.remoteAddress);
    const places = [this.#served, this.#refusing].find((each) => hasRoom(each, peer));
    if (this.#stopping || places === undefined) {
      this.counters.turnedAway++;
      socket.on('error', () => {});
      socket.destroy();
      return;
    }
    this.#track(socket, peer, places);
  }

  /** Until it is gone, or makes room for another. */
  #track(socket: Socket, peer: string, places: Places): void {
    const { counters } = this;
    const { max } = this.#served;
    const refusal =
      places === this.#served
        ? undefined
        : gatewayError('gateway_connections_exhausted', `all ${max} connections are in use`);
    let place: 'taken' | 'free' = 'taken';
    const leave = () => {
      if (place === 'taken') places.taken -= 1;
      place = 'free';
    };
    const arrived = places.silent.add(peer, () => {
      leave();
      connection.makeRoom();
    });
    const connection = new GatewayConnection(this.#services, socket, refusal, arrived);
    places.taken += 1;
    counters.connectionsOpen++;
    counters.connectionsTotal++;
    const run = connection.run().then(() => {
      this.#connections.delete(connection);
      leave();
      counters.connectionsOpen--;
    });
    this.#connections.set(connection, run);
  }

  #enter(branch: string): () => void {
    const { connectionsPerBranchMax } = this.#services.settings;
    const count = this.#perBranch.get(branch) ?? 0;
    if (count >= connectionsPerBranchMax) {
      const message = `branch ${branch} has ${count} connections, as many as a branch may have`;
      throw gatewayError('gateway_connections_exhausted', message);
    }
    this.#perBranch.set(branch, count + 1);
    return () => {
      const left = (this.#perBranch.get(branch) ?? 1) - 1;
      if (left === 0) {
        this.#perBranch.delete(branch);
      } else {
        this.#perBranch.set(branch, left);
      }
    };
  }

  /** Clients that try again and again do not fill the log. */
  #alert(error: OffshootError): void {
    const { now, settings } = this.#services;
    const last = this.#alerted.get(error.code);
    if (last === undefined || now() - last >= settings.alertIntervalMs) {
      this.#alerted.set(error.code, now());
      this.#onAlert(error);
    }
  }
}

function stopping(): OffshootError {
  return gatewayError('gateway_stopping', 'the page server is shutting down');
}

function strangersOf(settings: GatewaySettings, now: () => number): StrangerWakes {
  const { strangerWakesMax, strangerLoopbackWakesMax, strangerWindowMs, strangersMax } = settings;
  return new StrangerWakes({
    wakesMax: strangerWakesMax,
    loopbackWakesMax: strangerLoopbackWakesMax,
    windowMs: strangerWindowMs,
    peersMax: strangersMax,
    now,
  });
}

function tlsOptions(tls: GatewayTls, { socketBufferBytes }: GatewaySettings): TLSSocketOptions {
  if (tls.policy === 'off') {
    return {};
  }
  try {
    // Clients that begin TLS unasked must offer this protocol name.
    const known = { secureContext: createSecureContext(tls), ALPNProtocols: ['postgresql'] };
    // An option that the types of Node.js leave out.
    return Object.assign(known, { highWaterMark: socketBufferBytes });
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw baseError('invalid_argument', `these are no certificate and key in PEM: ${message}`, { cause });
  }
}

/** Of these 0 has a meaning. */
const MAY_BE_NONE: ReadonlySet<string> = new Set(['spliceThreads', 'strangerLoopbackWakesMax']);

function requireSense(settings: GatewaySettings): void {
  for (const [name, value] of Object.entries(settings)) {
    const min = MAY_BE_NONE.has(name) ? 0 : 1;
    if (!Number.isInteger(value) || value < min) {
      const what = `gateway.${name} is ${value}: a whole number from ${min} on is needed`;
      throw baseError('invalid_argument', what);
    }
  }
}
