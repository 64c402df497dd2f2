import {
  ENCRYPTION_NO,
  ENCRYPTION_YES,
  InputBuffer,
  parseStartupMessage,
  readStartupPacket,
  STARTUP_BYTES_MAX,
  type StartupPacket,
  TLS_HANDSHAKE,
  wireError,
} from '@offshoot/wire';
import { type ConnectionRequest, connectionRequest } from './connection-request.js';
import { gatewayError } from './gateway-errors.js';

/** What the owner of a client's socket has to do next, in order. */
export type HandshakeEffect =
  | { readonly do: 'write'; readonly bytes: Uint8Array }
  /** Begin TLS; `unread` was received already and belongs to it. Then `tlsStarted`. */
  | { readonly do: 'start-tls'; readonly unread: Uint8Array }
  /** Pass the request on, then close. Nothing comes after. */
  | { readonly do: 'cancel'; readonly processId: number; readonly secret: Uint8Array }
  /** Connect to the branch; `unread` follows the start-up packet. Nothing comes after. */
  | { readonly do: 'route'; readonly request: ConnectionRequest; readonly unread: Uint8Array };

export interface HandshakeOptions {
  /** `off`: SSLRequest is answered N. */
  readonly tls: 'off' | 'allow' | 'require';
  readonly sniDomain: string | undefined;
  readonly bytesMax: number;
}

/** What TLS has agreed on. */
export interface TlsFacts {
  readonly serverName: string | undefined;
  /** The protocol's name, if the client offered ours. */
  readonly protocol: string | undefined;
}

/** A client's bytes up to and with its start-up packet, without a socket. */
export class ClientHandshake {
  readonly #options: HandshakeOptions;
  readonly #input = new InputBuffer();
  readonly #asked = new Set<StartupPacket['kind']>();
  #tls: 'none' | 'promised' | 'starting' | 'started' = 'none';
  #serverName: string | undefined;

  constructor(options: HandshakeOptions) {
    this.#options = options;
  }

  /** Bytes received and not used yet. */
  get inputBytes(): number {
    return this.#input.length;
  }

  /** True while an error would be taken for bytes of the TLS handshake. */
  get speechless(): boolean {
    return this.#tls === 'promised' || this.#tls === 'starting';
  }

  /** The chunk belongs to the handshake from here on. */
  receive(chunk: Uint8Array): void {
    this.#input.append(chunk);
  }

  /** The next effect, or undefined when more bytes are needed. Throws what the client is to be told. */
  next(): HandshakeEffect | undefined {
    if (this.#beginsTls()) {
      return this.#beginTls();
    }
    const packet = readStartupPacket(this.#input, Math.min(this.#options.bytesMax, STARTUP_BYTES_MAX));
    return packet && this.#take(packet);
  }

  /** Throws `protocol_violation` for a client that did not name the protocol and began TLS unasked. */
  tlsStarted({ serverName, protocol }: TlsFacts): void {
    const asked = this.#asked.has('ssl-request');
    this.#tls = 'started';
    this.#serverName = serverName;
    if (!asked && protocol === undefined) {
      throw wireError('protocol_violation', 'TLS that is begun unasked must name the protocol "postgresql"');
    }
  }

  /** Garbage where TLS was promised goes to TLS, too, whose business it is to refuse it. */
  #beginsTls(): boolean {
    if (this.#options.tls === 'off' || this.#input.length === 0) {
      return false;
    }
    if (this.#tls === 'promised') {
      return true;
    }
    return this.#tls === 'none' && this.#input.bytes[this.#input.start] === TLS_HANDSHAKE;
  }

  #beginTls(): HandshakeEffect {
    this.#tls = 'starting';
    return { do: 'start-tls', unread: this.#input.take(this.#input.length) };
  }

  #take(packet: StartupPacket): HandshakeEffect {
    switch (packet.kind) {
      case 'ssl-request':
      case 'gssenc-request':
        return { do: 'write', bytes: this.#answer(packet.kind) };
      case 'cancel-request':
        return { do: 'cancel', processId: packet.processId, secret: packet.secret };
      case 'startup':
        return this.#route(packet);
    }
  }

  #answer(kind: 'ssl-request' | 'gssenc-request'): Uint8Array {
    if (this.#asked.has(kind)) {
      throw wireError('protocol_violation', 'asked for encryption twice');
    }
    this.#asked.add(kind);
    // Someone between us and the client could put plain bytes behind its request, to be taken for encrypted ones.
    if (this.#input.length > 0) {
      throw wireError('protocol_violation', 'received unencrypted data behind a request for encryption');
    }
    if (kind === 'gssenc-request' || this.#options.tls === 'off' || this.#tls !== 'none') {
      return ENCRYPTION_NO;
    }
    this.#tls = 'promised';
    return ENCRYPTION_YES;
  }

  #route(packet: StartupPacket & { kind: 'startup' }): HandshakeEffect {
    if (this.#options.tls === 'require' && this.#tls !== 'started') {
      throw gatewayError('gateway_tls_required', 'this gateway takes encrypted connections only');
    }
    const message = parseStartupMessage(packet.minorVersion, packet.body);
    const request = connectionRequest(message, { name: this.#serverName, domain: this.#options.sniDomain });
    return { do: 'route', request, unread: this.#input.take(this.#input.length) };
  }
}
