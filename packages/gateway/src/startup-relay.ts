import type { Socket } from 'node:net';
import { gatewayError } from './gateway-errors.js';
import { pass } from './pass.js';
import type { StartupExchange } from './startup-exchange.js';
import { type Turn, TurnClock } from './turn-clock.js';

export interface StartupRelayOptions {
  readonly client: Socket;
  readonly compute: Socket;
  readonly exchange: StartupExchange;
  readonly now: () => number;
  readonly budgetsMs: Readonly<Record<Turn, number>>;
  /** What the compute has taken of its own already. */
  readonly computeSpentMs: number;
  readonly onBytes: (to: Turn, bytes: number) => void;
}

/** Runs the start-up exchange of a client and a compute over their sockets, both paused before and after. */
export class StartupRelay {
  readonly #options: StartupRelayOptions;
  readonly #undo: (() => void)[] = [];

  constructor(options: StartupRelayOptions) {
    this.#options = options;
  }

  /**
   * The start-up packet is sent; `early` is what the client has sent behind it. Resolves with the exchange's end: `ready`
   * for anything, or `refused` by the compute, which has said so to the client. Throws `client_left`, `compute_unreachable`, `handshake_timeout`,
   * `compute_protocol_violation`, and what `signal` is aborted with.
   */
  async run(early: Uint8Array, signal: AbortSignal): Promise<'ready' | 'refused'> {
    try {
      return await new Promise((resolve, reject) => {
        this.#listen(resolve, reject);
        this.#on(signal, 'abort', () => reject(signal.reason));
        if (signal.aborted) {
          reject(signal.reason);
        }
        if (early.length > 0) {
          this.#options.onBytes('compute', early.length);
          this.#options.compute.write(early);
        }
      });
    } finally {
      for (const step of this.#undo.splice(0)) {
        step();
      }
    }
  }

  #listen(resolve: (end: 'ready' | 'refused') => void, reject: (error: unknown) => void): void {
    const { client, compute, exchange, now, budgetsMs, computeSpentMs } = this.#options;
    const clock = new TurnClock({
      now,
      budgetsMs: { ...budgetsMs, compute: budgetsMs.compute - computeSpentMs },
      onOver: (turn) => reject(timeUp(turn, budgetsMs)),
    });
    this.#undo.push(() => clock.stop());
    const fromClient = pass(client, compute, (chunk) => {
      exchange.clientSpoke();
      clock.pass('compute');
      this.#options.onBytes('compute', chunk.length);
      return compute.write(chunk);
    });
    const fromCompute = pass(compute, client, (chunk) => {
      try {
        const taken = this.#deliver(exchange.push(chunk));
        clock.pass(exchange.turn);
        if (exchange.state === 'ready') {
          // At once: what comes next in this very moment is not ours any more.
          fromCompute();
          fromClient();
          resolve('ready');
        }
        return taken;
      } catch (error) {
        reject(error);
        return false;
      }
    });
    this.#undo.push(fromClient, fromCompute);
    this.#listenForEnds(resolve, reject);
  }

  #listenForEnds(resolve: (end: 'ready' | 'refused') => void, reject: (error: unknown) => void): void {
    const { client, compute, exchange } = this.#options;
    const clientLeft = () => reject(gatewayError('client_left', 'the client is gone'));
    const computeEnded = () => {
      if (exchange.state === 'refused') {
        resolve('refused');
      } else {
        reject(gatewayError('compute_unreachable', 'the compute ended while the connection was made'));
      }
    };
    for (const event of ['end', 'close']) {
      this.#on(client, event, clientLeft);
      this.#on(compute, event, computeEnded);
    }
    if (client.destroyed) {
      clientLeft();
    }
    if (compute.destroyed) {
      computeEnded();
    }
  }

  #deliver(parts: readonly Uint8Array[]): boolean {
    const { client, onBytes } = this.#options;
    let taken = true;
    client.cork();
    for (const part of parts) {
      onBytes('client', part.length);
      taken = client.write(part);
    }
    client.uncork();
    return taken;
  }

  #on(target: Socket | AbortSignal, event: string, listener: () => void): void {
    if (target instanceof AbortSignal) {
      target.addEventListener(event, listener);
      this.#undo.push(() => target.removeEventListener(event, listener));
    } else {
      target.on(event, listener);
      this.#undo.push(() => target.off(event, listener));
    }
  }
}

function timeUp(turn: Turn, budgetsMs: Readonly<Record<Turn, number>>) {
  return turn === 'client'
    ? gatewayError('handshake_timeout', `the client took more than ${budgetsMs.client} ms to authenticate`)
    : gatewayError(
        'compute_unreachable',
        `the compute did not take the connection within ${budgetsMs.compute} ms`,
      );
}
