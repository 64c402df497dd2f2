import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/**
 * What is beneath a connected socket. Node.js does not document it and has had it since 0.x; what does not look like
 * it is not touched.
 */
interface SocketHandle {
  readonly fd: number;
  reading: boolean;
  readStart(): number;
  readStop(): number;
}

/** A socket that nobody reads any more, with all that was read from it: on its way to somebody who has its descriptor. */
export class TakenSocket {
  readonly fd: number;
  /** Read from it, and not delivered. */
  readonly unread: Buffer;
  readonly #socket: Socket;
  readonly #handle: SocketHandle;

  private constructor(socket: Socket, handle: SocketHandle, unread: Buffer) {
    this.#socket = socket;
    this.#handle = handle;
    this.fd = handle.fd;
    this.unread = unread;
  }

  /**
   * From a paused socket without listeners for data. Undefined, with the socket as it was, where it is not to be had:
   * TLS has a state that no descriptor has, and what waits to be written cannot be got back.
   */
  static take(socket: Socket): TakenSocket | undefined {
    const handle = handleOf(socket);
    if (handle === undefined || socket instanceof TLSSocket || socket.writableLength > 0) return undefined;
    if (socket.destroyed || socket.writableEnded) return undefined;
    const chunks: Buffer[] = [];
    for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) chunks.push(chunk as Buffer);
    // To read is to ask for more, which would come with the event loop's next turn.
    handle.reading = false;
    handle.readStop();
    return new TakenSocket(socket, handle, Buffer.concat(chunks));
  }

  /** All is as before. */
  giveBack(): void {
    if (this.unread.length > 0) this.#socket.unshift(this.unread);
    // It has asked for more, and does not ask again before something comes.
    this.#handle.reading = true;
    this.#handle.readStart();
  }

  /** Closes this process' descriptor that Node.js has. That alone is no end of the connection: another one is open. */
  letGo(): void {
    this.#socket.destroy();
  }
}

function handleOf(socket: Socket): SocketHandle | undefined {
  const { _handle: handle } = socket as { _handle?: Partial<SocketHandle> | null };
  const { fd, reading, readStart, readStop } = handle ?? {};
  const isOpen = typeof fd === 'number' && fd >= 0 && typeof reading === 'boolean';
  return isOpen && readStart && readStop ? (handle as SocketHandle) : undefined;
}
