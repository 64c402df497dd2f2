import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocketOptions } from 'node:tls';
import { asOffshootError, type OffshootError } from '@offshoot/types';
import { backendKeyData } from '@offshoot/wire';
import { beginSplice, type SpliceServices } from './begin-splice.js';
import { beginStartup } from './begin-startup.js';
import type { BranchHost, ComputeAddress, OpenBranch } from './branch-host.js';
import type { BranchTurns } from './branch-turns.js';
import type { CancelKeys } from './cancel-keys.js';
import { ClientHandshake, type HandshakeEffect } from './client-handshake.js';
import { ClientSocket } from './client-socket.js';
import { connectCompute } from './connect-compute.js';
import { farewell } from './farewell.js';
import { forwardCancel } from './forward-cancel.js';
import { gatewayError } from './gateway-errors.js';
import type { GatewayObserver } from './gateway-observer.js';
import type { GatewaySettings } from './gateway-settings.js';
import { Lifetime } from './lifetime.js';
import { PhaseClock } from './phase-clock.js';
import type { PumpedSplice } from './pumped-splice.js';
import type { Splice } from './splice.js';
import { StartupExchange } from './startup-exchange.js';
import { StartupRelay } from './startup-relay.js';
import type { StrangerVisit, StrangerWakes } from './stranger-wakes.js';

type CancelEffect = HandshakeEffect & { do: 'cancel' };
type RouteEffect = HandshakeEffect & { do: 'route' };

/** What all connections of a gateway share. */
export interface GatewayConnectionServices extends SpliceServices {
  readonly host: BranchHost;
  readonly settings: GatewaySettings;
  readonly observer: GatewayObserver;
  readonly cancelKeys: CancelKeys;
  readonly tls: { readonly policy: 'off' | 'allow' | 'require'; readonly options: TLSSocketOptions };
  readonly sniDomain: string | undefined;
  readonly now: () => number;
  readonly strangers: StrangerWakes;
  /** Counts a connection of the branch, or throws; answers how to count it out. */
  readonly enter: (branch: string) => () => void;
  /** Who may begin at a branch's compute. */
  readonly turns: BranchTurns;
}

/** One client's connection from accept to its end. */
export class GatewayConnection {
  readonly #services: GatewayConnectionServices;
  readonly #refusal: OffshootError | undefined;
  readonly #onArrival: () => void;
  readonly #client: ClientSocket;
  readonly #handshake: ClientHandshake;
  readonly #lifetime = new Lifetime();
  readonly #clock: PhaseClock;
  readonly #visit: StrangerVisit;
  #wake: () => void = () => {};
  /** What came behind the start-up packet. */
  #early: Uint8Array[] | undefined;
  #earlyBytes = 0;
  #exchange: StartupExchange | undefined;
  #splice: Splice | PumpedSplice | undefined;
  #bytes = { client: 0, compute: 0 };
  #leave: 'in order' | 'at once' = 'in order';

  /**
   * With a `refusal` the client is told that, once it is known that it does not come to cancel something. `onArrival`: it
   * has said what it wants, or never will.
   */
  constructor(
    services: GatewayConnectionServices,
    socket: Socket,
    refusal: OffshootError | undefined,
    onArrival: () => void,
  ) {
    this.#services = services;
    this.#refusal = refusal;
    this.#onArrival = onArrival;
    this.#clock = new PhaseClock(services.now);
    this.#visit = services.strangers.visit(socket.remoteAddress);
    const { tls, sniDomain, settings } = services;
    this.#handshake = new ClientHandshake({
      tls: tls.policy,
      sniDomain,
      bytesMax: settings.handshakeBytesMax,
    });
    this.#client = new ClientSocket(socket, {
      closeLingerMs: settings.closeLingerMs,
      onBytes: (chunk) => this.#onBytes(chunk),
      onLeft: () => this.stop(gatewayError('client_left', 'the client is gone')),
    });
  }

  /** Bytes that are held for a side that does not take them yet. */
  get bytesHeld(): number {
    return this.#client.socket.writableLength + this.#client.socket.readableLength + this.#earlyBytes;
  }

  /** Resolves when nothing of the connection is left. Never rejects. */
  async run(): Promise<void> {
    try {
      const arrival = await this.#receive().finally(this.#onArrival);
      if (arrival.do === 'cancel') {
        await this.#cancel(arrival);
      } else {
        await this.#serve(arrival);
      }
    } catch (error) {
      this.#refuse(asOffshootError(error));
    }
    await this.#client.gone;
  }

  /** Ends the connection with an error, unless it is handed over already. */
  stop(error: OffshootError): void {
    this.#lifetime.end(error);
  }

  /** Ends a connection that has said nothing yet: another one has its place. */
  makeRoom(): void {
    this.#leave = 'at once';
    const ms = Math.round(this.#clock.sinceStartMs);
    this.stop(
      gatewayError(
        'gateway_connections_exhausted',
        `all places are taken, others want in, and no start-up packet came within ${ms} ms`,
      ),
    );
  }

  /** Ends the connection also when it is handed over. */
  cut(error: OffshootError): void {
    this.stop(error);
    this.#splice?.cut();
  }

  /** Up to the start-up packet, or a request to cancel. */
  async #receive(): Promise<CancelEffect | RouteEffect> {
    const { handshakeTimeoutMs } = this.#services.settings;
    const late = () =>
      gatewayError('handshake_timeout', `no start-up packet came within ${handshakeTimeoutMs} ms`);
    return this.#lifetime.within(handshakeTimeoutMs, late, async () => {
      for (;;) {
        const effect = this.#handshake.next();
        if (effect === undefined) {
          await this.#lifetime.unlessEnded(this.#moreBytes());
        } else if (effect.do === 'write') {
          this.#client.write(effect.bytes);
        } else if (effect.do === 'start-tls') {
          const { options } = this.#services.tls;
          this.#handshake.tlsStarted(
            await this.#lifetime.unlessEnded(this.#client.startTls(options, effect.unread)),
          );
        } else {
          return effect;
        }
      }
    });
  }

  /** Closes without a word, as Postgres does: whoever asks learns nothing of whose keys there are. */
  async #cancel({ processId, secret }: CancelEffect): Promise<void> {
    const { cancelKeys, counters, settings } = this.#services;
    const key = cancelKeys.find(processId, secret);
    if (key === undefined) {
      counters.cancelsUnknown++;
      this.#client.end();
      return;
    }
    counters.cancelsForwarded++;
    try {
      await forwardCancel(key, settings, this.#lifetime.signal);
    } catch {
      // The session is gone with its compute, or the client did not wait: there is nobody to tell.
    }
    this.#client.end();
  }

  async #serve({ request, unread }: RouteEffect): Promise<void> {
    this.#early = [unread];
    if (this.#refusal !== undefined) {
      throw this.#refusal;
    }
    const leave = this.#services.enter(request.branch);
    try {
      await this.#reachCompute(request);
    } finally {
      this.#visit.end();
      leave();
    }
  }

  /** A compute may end in the moment in which its address is given out; then the branch is opened again. */
  async #reachCompute(request: RouteEffect['request']): Promise<void> {
    const { counters, settings } = this.#services;
    for (let left = settings.reopensMax; ; left -= 1) {
      const outcome = await this.#tryCompute(request, left > 0 ? 'reopen' : 'give_up');
      if (outcome === 'served') {
        return;
      }
      counters.reopened++;
      await this.#lifetime.unlessEnded(sleep(settings.reopenPauseMs));
    }
  }

  async #tryCompute(
    { branch, database, startup }: RouteEffect['request'],
    whenGone: 'reopen' | 'give_up',
  ): Promise<'served' | 'reopen'> {
    const { now, settings } = this.#services;
    const { signal } = this.#lifetime;
    this.#clock.begin('park');
    const open = await this.#park(branch, database);
    let compute: Socket | undefined;
    try {
      this.#clock.begin('connect');
      const leaveTurn = await this.#turn(branch);
      let sent: number;
      let answer: 'taken' | 'not_now';
      try {
        compute = await connectCompute(open.address, settings, signal);
        this.#clock.begin('startup');
        sent = now();
        answer = await beginStartup(compute, startup, settings.startupTimeoutMs, signal);
      } finally {
        leaveTurn();
      }
      if (answer === 'not_now' && whenGone === 'reopen') {
        return 'reopen';
      }
      await this.#relay(compute, open.address, now() - sent);
      return 'served';
    } catch (error) {
      if (whenGone === 'reopen' && asOffshootError(error).code === 'compute_gone') {
        return 'reopen';
      }
      throw error;
    } finally {
      compute?.destroy();
      open.release();
    }
  }

  /** Each makes Postgres start a process: a branch that is connected to without end has only so many begin at a time. */
  #turn(branch: string): Promise<() => void> {
    const { settings, turns } = this.#services;
    const { parkTimeoutMs } = settings;
    const late = () =>
      gatewayError('branch_open_timeout', `branch ${branch} took no connections within ${parkTimeoutMs} ms`);
    return this.#lifetime.within(parkTimeoutMs, late, () => turns.take(branch, this.#lifetime.signal));
  }

  /** Waits for the branch. */
  async #park(branch: string, database: string | undefined): Promise<OpenBranch> {
    const { counters, host, settings } = this.#services;
    const { parkedMax, parkTimeoutMs } = settings;
    if (counters.parked >= parkedMax) {
      throw gatewayError(
        'gateway_connections_exhausted',
        `${parkedMax} connections wait for branches already`,
      );
    }
    const late = () =>
      gatewayError('branch_open_timeout', `branch ${branch} took no connections within ${parkTimeoutMs} ms`);
    counters.parked++;
    // Also what a host throws at once is a rejection.
    const { signal } = this.#lifetime;
    const beforeWake = () => this.#visit.wake(branch);
    const opening = (async () => host.open(branch, { signal, database, beforeWake }))();
    try {
      return await this.#lifetime.within(parkTimeoutMs, late, () => this.#lifetime.unlessEnded(opening));
    } catch (error) {
      // It may open all the same, and nobody is here for it.
      opening.then(
        (open) => open.release(),
        () => {},
      );
      throw error;
    } finally {
      counters.parked--;
    }
  }

  async #relay(compute: Socket, address: ComputeAddress, computeSpentMs: number): Promise<void> {
    const { cancelKeys, now, settings } = this.#services;
    let forgetKey: () => unknown = () => {};
    const exchange = new StartupExchange((processId, secret) => {
      forgetKey();
      const ours = cancelKeys.add({ address, processId, secret });
      forgetKey = ours.remove;
      return backendKeyData(processId, ours.secret);
    });
    this.#exchange = exchange;
    try {
      const client = this.#client.handOver();
      const early = this.#early ?? [];
      this.#early = undefined;
      this.#earlyBytes = 0;
      const relay = new StartupRelay({
        ...{ client, compute, exchange, now },
        computeSpentMs,
        budgetsMs: { compute: settings.startupTimeoutMs, client: settings.authenticationTimeoutMs },
        onBytes: (to, bytes) => this.#count(to, bytes),
      });
      const outcome = await relay.run(Buffer.concat(early), this.#lifetime.signal);
      if (outcome === 'ready') {
        this.#visit.welcome();
        await this.#spliceWith(compute);
      } else {
        this.#countRefused('compute');
        this.#client.end();
      }
    } finally {
      forgetKey();
    }
  }

  async #spliceWith(compute: Socket): Promise<void> {
    const { counters, observer } = this.#services;
    this.#clock.begin('hand_over');
    this.#splice = beginSplice(this.#services, {
      client: this.#client,
      compute,
      onBytes: (to, bytes) => {
        this.#bytes[to] += bytes;
      },
    });
    const ended = this.#splice.run();
    counters.connectionsSpliced++;
    observer.handedOver(this.#clock.end());
    const end = await ended;
    counters.connectionsSpliced--;
    observer.ended({
      ...end,
      durationMs: this.#clock.sinceStartMs,
      bytesFromClient: this.#bytes.compute,
      bytesToClient: this.#bytes.client,
    });
  }

  #refuse(error: OffshootError): void {
    const { counters, observer, onAlert } = this.#services;
    if (error.code === 'client_left' || this.#client.destroyed) {
      counters.left++;
      observer.left(this.#clock.phase);
      this.#client.reset();
      return;
    }
    if (error.kind === 'alert') {
      onAlert(error);
    }
    this.#countRefused(error.sqlState);
    // Amid a TLS handshake or another message an error would be taken for a part of it.
    if (this.#handshake.speechless || this.#exchange?.betweenMessages === false) {
      this.#client.reset();
    } else if (this.#leave === 'at once') {
      this.#client.endAtOnce(farewell(error));
    } else {
      this.#client.end(farewell(error));
    }
  }

  #countRefused(sqlState: string): void {
    this.#services.counters.countRefused(sqlState);
    this.#services.observer.refused(this.#clock.phase, sqlState);
  }

  #count(to: 'client' | 'compute', bytes: number): void {
    this.#bytes[to] += bytes;
    this.#services.counters.countBytes(to, bytes);
  }

  #onBytes(chunk: Buffer): void {
    if (this.#early === undefined) {
      this.#handshake.receive(chunk);
    } else {
      // Reading on shows when the client leaves; one that has much to say beforehand is held back instead.
      this.#early.push(chunk);
      this.#earlyBytes += chunk.length;
      if (this.#earlyBytes > this.#services.settings.handshakeBytesMax) {
        this.#client.pause();
      }
    }
    this.#wake();
  }

  #moreBytes(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
