import type { OffshootError } from '@offshoot/types';
import {
  BackendMessage,
  ENCRYPTION_NO,
  ENCRYPTION_YES,
  FRAME_HEADER_BYTES,
  FrontendType,
  frameBytes,
  type InputBuffer,
  parameterStatus,
  parsePassword,
  readStartupPacket,
  type StartupPacket,
  TLS_HANDSHAKE,
  wireError,
} from '@offshoot/wire';
import { pageServiceError } from './page-service-error.js';
import type { SessionEffect } from './session-effect.js';
import type { TokenScope } from './token-check.js';

/** How a listener receives its clients. */
export interface HandshakeOptions {
  readonly auth: 'trust' | 'token';
  /** `required`: TLS by SSLRequest or at once; `none`: SSLRequest is answered N. */
  readonly tls: 'none' | 'required';
  readonly frameBytesMax: number;
  /** When set, the client is told this instead of being received. */
  readonly refusal?: OffshootError | undefined;
}

/** Nobody's version: drivers want to parse one. */
const SERVER_VERSION = '14.1';

/** From the first byte to ReadyForQuery, without a socket. Throws what ends the connection. */
export class Handshake {
  /** What the client may ask for, once it is received. */
  scope: TokenScope | undefined;
  readonly #options: HandshakeOptions;
  readonly #asked = new Set<StartupPacket['kind']>();
  #secure = false;
  #phase: 'packets' | 'password' = 'packets';

  constructor(options: HandshakeOptions) {
    this.#options = options;
  }

  /** The next effect, or undefined when more bytes are needed. */
  next(input: InputBuffer): SessionEffect | undefined {
    if (this.#phase === 'password') {
      return this.#readPassword(input);
    }
    if (this.#beginsTls(input)) {
      return { do: 'start-tls', unread: input.take(input.length) };
    }
    const packet = readStartupPacket(input);
    return packet && this.#take(packet, input);
  }

  tlsStarted(): void {
    this.#secure = true;
  }

  /** Receives the client, or throws `authentication_failed`. Answers what to write. */
  tokenChecked(scope: TokenScope | undefined): SessionEffect {
    if (scope === undefined) {
      throw pageServiceError('authentication_failed', 'the token was refused');
    }
    return this.#welcome(scope);
  }

  /** TLS is due: the client may begin it at once, and must after an S. */
  #beginsTls(input: InputBuffer): boolean {
    if (this.#options.tls === 'none' || this.#secure || input.length === 0) {
      return false;
    }
    return input.bytes[input.start] === TLS_HANDSHAKE;
  }

  #take(packet: StartupPacket, input: InputBuffer): SessionEffect {
    if (this.#asked.has(packet.kind)) {
      throw wireError('protocol_violation', 'asked for encryption twice');
    }
    this.#asked.add(packet.kind);
    switch (packet.kind) {
      case 'ssl-request':
        return { do: 'write', bytes: this.#answerSslRequest(input) };
      case 'gssenc-request':
        return { do: 'write', bytes: ENCRYPTION_NO };
      case 'cancel-request':
        return { do: 'close' };
      case 'startup':
        return this.#authenticate();
    }
  }

  /** After S the client sends its TLS hello, which is noticed like one that comes unasked. */
  #answerSslRequest(input: InputBuffer): Uint8Array {
    if (this.#options.tls === 'none' || this.#secure) {
      return ENCRYPTION_NO;
    }
    // Someone between us and the client could put plain bytes behind its request, to be taken for encrypted ones.
    if (input.length > 0) {
      throw wireError('protocol_violation', 'received unencrypted data after SSLRequest');
    }
    return ENCRYPTION_YES;
  }

  #authenticate(): SessionEffect {
    if (this.#options.tls === 'required' && !this.#secure) {
      throw pageServiceError('tls_required', 'this listener speaks TLS only');
    }
    if (this.#options.refusal !== undefined) {
      throw this.#options.refusal;
    }
    if (this.#options.auth === 'trust') {
      return this.#welcome('all-tenants');
    }
    this.#phase = 'password';
    return { do: 'write', bytes: BackendMessage.authenticationCleartextPassword };
  }

  #readPassword(input: InputBuffer): SessionEffect | undefined {
    const bytes = frameBytes(input.bytes, input.start, input.end, this.#options.frameBytesMax);
    if (bytes === 0 || bytes > input.length) {
      return undefined;
    }
    const frame = input.take(bytes);
    if (frame[0] === FrontendType.Terminate) {
      return { do: 'close' };
    }
    if (frame[0] !== FrontendType.Password) {
      throw wireError('protocol_violation', 'expected a PasswordMessage');
    }
    return { do: 'check-token', token: parsePassword(frame.subarray(FRAME_HEADER_BYTES)) };
  }

  #welcome(scope: TokenScope): SessionEffect {
    this.scope = scope;
    const bytes = Buffer.concat([
      BackendMessage.authenticationOk,
      parameterStatus('client_encoding', 'UTF8'),
      parameterStatus('integer_datetimes', 'on'),
      parameterStatus('server_version', SERVER_VERSION),
      BackendMessage.readyForQuery,
    ]);
    return { do: 'write', bytes };
  }
}
