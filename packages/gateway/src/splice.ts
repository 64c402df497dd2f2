import type { Socket } from 'node:net';
import type { ClientSocket } from './client-socket.js';
import type { ConnectionEnd } from './gateway-observer.js';
import { pass } from './pass.js';

export type SpliceEnd = Pick<ConnectionEnd, 'by' | 'how'>;

export interface SpliceOptions {
  readonly client: ClientSocket;
  readonly compute: Socket;
  readonly onBytes: (to: 'client' | 'compute', bytes: number) => void;
}

/**
 * A client and a compute whose bytes pass both ways, unread and no faster than the other side takes them. What one side
 * does the other sees: a closed half, an end, a broken connection.
 */
export class Splice {
  readonly #options: SpliceOptions;
  #finish: (end: SpliceEnd) => void = () => {};

  constructor(options: SpliceOptions) {
    this.#options = options;
  }

  /** Resolves when one side has ended it; the compute's socket is gone then, and the client's on its way out. */
  async run(): Promise<SpliceEnd> {
    const { compute, client, onBytes } = this.#options;
    const socket = client.socket;
    const undo = [
      pass(socket, compute, (chunk) => {
        onBytes('compute', chunk.length);
        return compute.write(chunk);
      }),
      pass(compute, socket, (chunk) => {
        onBytes('client', chunk.length);
        return socket.write(chunk);
      }),
    ];
    const end = await new Promise<SpliceEnd>((resolve) => {
      this.#finish = resolve;
      this.#listen(resolve, undo);
    });
    for (const step of undo) {
      step();
    }
    compute.destroy();
    if (end.by === 'compute' && end.how === 'broken') {
      client.breakOff();
    } else {
      client.end();
    }
    return end;
  }

  /** Ends it from here. */
  cut(): void {
    this.#finish({ by: 'gateway', how: 'ended' });
  }

  #listen(resolve: (end: SpliceEnd) => void, undo: (() => void)[]): void {
    const { compute, client } = this.#options;
    const { socket } = client;
    let clientEnded = false;
    const on = (target: Socket, event: string, listener: (argument?: unknown) => void) => {
      target.on(event, listener);
      undo.push(() => target.off(event, listener));
    };
    // Postgres may still have words for a client that sends no more.
    on(socket, 'end', () => {
      clientEnded = true;
      compute.end();
    });
    // Postgres closes both halves at once; who has said farewell is the one who ended it.
    on(compute, 'end', () => resolve({ by: clientEnded ? 'client' : 'compute', how: 'ended' }));
    const clientGone = () => resolve({ by: 'client', how: socket.errored ? 'broken' : 'ended' });
    const computeGone = () => resolve({ by: 'compute', how: compute.errored ? 'broken' : 'ended' });
    on(socket, 'close', clientGone);
    on(compute, 'close', computeGone);
    if (socket.destroyed) {
      clientGone();
    }
    if (compute.destroyed) {
      computeGone();
    }
  }
}
