import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import { WELCOME } from './messages.js';
import { Peer } from './peer.js';

/** A session of a compute, after its start-up packet. */
export interface FakeSession {
  readonly peer: Peer;
  /** The start-up packet, whole. */
  readonly startup: Buffer;
}

/** What stands in for Postgres: takes start-up packets, then does as it is told. */
export class FakeCompute {
  readonly sessions: FakeSession[] = [];
  /** Packets that are no StartupMessage: cancel requests. */
  readonly cancels: Buffer[] = [];
  /** What to do with a session; by default it is welcomed, and its bytes come back. */
  play: (session: FakeSession) => void = ({ peer }) => {
    peer.send(WELCOME);
    peer.socket.pipe(peer.socket);
  };
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor() {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => void this.#accept(socket));
  }

  static async start(): Promise<FakeCompute> {
    const compute = new FakeCompute();
    compute.#server.listen(0, '127.0.0.1');
    await new Promise((resolve) => compute.#server.once('listening', resolve));
    return compute;
  }

  get address(): { host: string; port: number } {
    return { host: '127.0.0.1', port: (this.#server.address() as AddressInfo).port };
  }

  /** As after a crash: nobody listens, and all connections are gone. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
  }

  async #accept(socket: Socket): Promise<void> {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    const peer = new Peer(socket);
    const head = await peer.bytes(8);
    if (head.length < 8) return;
    const startup = Buffer.concat([head, await peer.bytes(head.readUInt32BE() - 8)]);
    if (head.readUInt32BE(4) >>> 16 !== 3) {
      this.cancels.push(startup);
      socket.end();
      return;
    }
    const session = { peer, startup };
    this.sessions.push(session);
    this.play(session);
  }
}
