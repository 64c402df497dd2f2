import type { PumpedConnection, SplicePump } from '@offshoot/engine';
import type { SpliceEnd, SpliceOptions } from './splice.js';
import { TakenSocket } from './taken-socket.js';

/** The same as a `Splice`, by native threads: what this process had to do with the connection is over. */
export class PumpedSplice {
  readonly #connection: PumpedConnection;
  readonly #onBytes: SpliceOptions['onBytes'];

  private constructor(connection: PumpedConnection, onBytes: SpliceOptions['onBytes']) {
    this.#connection = connection;
    this.#onBytes = onBytes;
  }

  /**
   * Hands both sockets over, which are paused and listened to by nobody. Undefined, with the sockets as they were, where
   * that cannot be: see `TakenSocket`. Throws `splice_failed`, with the sockets as they were, too.
   */
  static begin(pump: SplicePump, options: SpliceOptions): PumpedSplice | undefined {
    const { client, compute, onBytes } = options;
    const ours = TakenSocket.take(client.socket);
    const its = ours && TakenSocket.take(compute);
    if (ours === undefined || its === undefined) {
      ours?.giveBack();
      return undefined;
    }
    let connection: PumpedConnection;
    try {
      connection = pump.adopt({
        client: ours.fd,
        compute: its.fd,
        toClient: its.unread,
        toCompute: ours.unread,
      });
    } catch (error) {
      ours.giveBack();
      its.giveBack();
      throw error;
    }
    client.leaveTo(connection.gone);
    ours.letGo();
    its.letGo();
    return new PumpedSplice(connection, onBytes);
  }

  /** `onBytes` hears of all bytes then. Resolves when one side has ended it; the compute's socket is gone then, and the client's on its way out. */
  async run(): Promise<SpliceEnd> {
    const { by, how, bytesToClient, bytesToCompute } = await this.#connection.ended;
    this.#onBytes('client', bytesToClient);
    this.#onBytes('compute', bytesToCompute);
    return { by, how };
  }

  /** Ends it from here. */
  cut(): void {
    this.#connection.cut();
  }
}
