import { asOffshootError, type OffshootError, type TenantId } from '@offshoot/types';
import {
  BackendMessage,
  commandComplete,
  errorResponse,
  FRAME_HEADER_BYTES,
  FrontendType,
  frameBytes,
  InputBuffer,
  type PageServiceCommand,
  type PagestreamCommand,
  parseBind,
  parseDescribe,
  parseExecute,
  parsePageServiceCommand,
  parseParse,
  parseQuery,
  takePagestreamFrames,
  wireError,
} from '@offshoot/wire';
import { Handshake, type HandshakeOptions } from './handshake.js';
import { pageServiceError } from './page-service-error.js';
import type { SessionEffect } from './session-effect.js';
import { mayUse, type TokenScope } from './token-check.js';

export interface PageSessionOptions extends HandshakeOptions {
  readonly requestsPerCallMax: number;
  readonly replyBytesPerCallMax: number;
  /** Told of each command that begins, and of each error that the client is told. */
  readonly onCommand?: (name: PageServiceCommand['name']) => void;
  readonly onError?: (error: OffshootError) => void;
}

/** How the running command came: a Query ends in ReadyForQuery, an Execute waits for the client's Sync. */
type Manner = 'query' | 'execute';

/**
 * One connection's protocol, without a socket: bytes go in by `receive`, effects come out of `next`. An effect that asks
 * for an answer (`start-tls`, `check-token`, `run`, `serve`) must get it before `next` is called again.
 */
export class PageSession {
  readonly #options: PageSessionOptions;
  readonly #input = new InputBuffer();
  readonly #handshake: Handshake;
  #output: Uint8Array[] = [];
  #pending: SessionEffect | undefined;
  #phase: 'handshake' | 'commands' | 'stream' | 'closed' = 'handshake';
  #stream: PagestreamCommand | undefined;
  #manner: Manner = 'query';
  #statement: string | undefined;
  /** After an error in the extended protocol, messages are passed over up to the client's Sync. */
  #skipping = false;
  #tenant: TenantId | undefined;

  constructor(options: PageSessionOptions) {
    this.#options = options;
    this.#handshake = new Handshake(options);
  }

  get inputBytes(): number {
    return this.#input.length;
  }

  /** True once the client is received. */
  get received(): boolean {
    return this.#handshake.scope !== undefined;
  }

  /** The chunk belongs to the session from here on. */
  receive(chunk: Uint8Array): void {
    this.#input.append(chunk);
  }

  /**
   * The next thing to do, or undefined when that depends on bytes that are not here yet. Replies to the requests that
   * one `serve` takes stay within `replyBytesMax`, save that a first request is always taken.
   */
  next(replyBytesMax: number): SessionEffect | undefined {
    while (this.#pending === undefined && this.#phase !== 'closed') {
      if (!this.#stepOrEnd(replyBytesMax)) {
        break;
      }
    }
    if (this.#output.length > 0) {
      const bytes = this.#output.length === 1 ? (this.#output[0] as Uint8Array) : Buffer.concat(this.#output);
      this.#output = [];
      return { do: 'write', bytes };
    }
    const effect = this.#pending;
    this.#pending = undefined;
    return effect;
  }

  tlsStarted(): void {
    this.#handshake.tlsStarted();
  }

  tokenChecked(scope: TokenScope | undefined): void {
    try {
      this.#accept(this.#handshake.tokenChecked(scope));
    } catch (error) {
      this.end(asOffshootError(error));
    }
  }

  /** The command of the last `run` is through: its CommandComplete is written, or it failed. */
  ran(error?: OffshootError): void {
    if (error !== undefined) {
      this.#fail(error, this.#manner);
    } else if (this.#manner === 'query') {
      this.#output.push(BackendMessage.readyForQuery);
    }
  }

  /** The requests of the last `serve` are answered; or the stream ends with an error after the answers. */
  served(error?: OffshootError): void {
    if (error !== undefined) {
      this.#leaveStream(error);
    }
  }

  /** Tells the client an error and closes. */
  end(error: OffshootError): void {
    if (this.#phase !== 'closed') {
      this.#tell(error);
      this.#close();
    }
  }

  /** Does one thing and answers true, or false when more bytes are needed. */
  #stepOrEnd(replyBytesMax: number): boolean {
    try {
      return this.#step(replyBytesMax);
    } catch (error) {
      this.end(asOffshootError(error));
      return true;
    }
  }

  #step(replyBytesMax: number): boolean {
    if (this.#phase === 'handshake') {
      const effect = this.#handshake.next(this.#input);
      return effect !== undefined && this.#accept(effect);
    }
    if (this.#phase === 'stream' && this.#input.bytes[this.#input.start] === FrontendType.CopyData) {
      return this.#serve(replyBytesMax);
    }
    const { bytes, start, end } = this.#input;
    const length = frameBytes(bytes, start, end, this.#options.frameBytesMax);
    if (length === 0 || length > this.#input.length) {
      return false;
    }
    const frame = this.#input.take(length);
    const type = frame[0] as number;
    if (type === FrontendType.Terminate) {
      this.#close();
    } else if (this.#phase === 'stream') {
      this.#interruptStream(type);
    } else {
      this.#command(type, frame.subarray(FRAME_HEADER_BYTES));
    }
    return true;
  }

  /** An effect of the handshake; with its last one the client is received. */
  #accept(effect: SessionEffect): boolean {
    if (effect.do === 'write') {
      this.#output.push(effect.bytes);
    } else if (effect.do === 'close') {
      this.#close();
    } else {
      this.#pending = effect;
    }
    if (this.received) {
      this.#phase = 'commands';
    }
    return true;
  }

  #command(type: number, body: Uint8Array): void {
    if (this.#skipping && type !== FrontendType.Sync) {
      return;
    }
    if (type === FrontendType.Query) {
      this.#attempt('query', () => this.#begin(parseQuery(body), 'query'));
    } else if (type === FrontendType.Sync) {
      this.#skipping = false;
      this.#output.push(BackendMessage.readyForQuery);
    } else if (type === FrontendType.Password) {
      throw wireError('protocol_violation', 'a PasswordMessage was not asked for');
    } else if (!isCopyMessage(type)) {
      this.#attempt('execute', () => this.#extended(type, body));
    }
  }

  #extended(type: number, body: Uint8Array): void {
    switch (type) {
      case FrontendType.Parse:
        this.#statement = parseParse(body);
        this.#output.push(BackendMessage.parseComplete);
        break;
      case FrontendType.Describe:
        parseDescribe(body);
        this.#output.push(BackendMessage.parameterDescription, BackendMessage.noData);
        break;
      case FrontendType.Bind:
        parseBind(body);
        this.#output.push(BackendMessage.bindComplete);
        break;
      case FrontendType.Close:
        this.#output.push(BackendMessage.closeComplete);
        break;
      case FrontendType.Execute:
        parseExecute(body);
        if (this.#statement === undefined) {
          throw wireError('bad_command', 'nothing was prepared');
        }
        this.#begin(this.#statement, 'execute');
        break;
    }
  }

  #begin(text: string, manner: Manner): void {
    const command = parsePageServiceCommand(text);
    this.#manner = manner;
    this.#options.onCommand?.(command.name);
    if (command.name === 'set') {
      this.#output.push(commandComplete('SELECT 1'));
      this.ran();
      return;
    }
    this.#requireTenant(command.tenant);
    if (command.name === 'pagestream') {
      this.#stream = command;
      this.#phase = 'stream';
      this.#output.push(BackendMessage.copyBothResponse);
    } else {
      this.#pending = { do: 'run', command };
    }
  }

  #requireTenant(tenant: TenantId): void {
    const scope = this.#handshake.scope;
    if (scope === undefined || !mayUse(scope, tenant)) {
      throw pageServiceError('tenant_forbidden', 'the token is not for this tenant');
    }
    if (this.#tenant !== undefined && this.#tenant !== tenant) {
      throw pageServiceError('connection_tenant_fixed', 'this connection is used for another tenant already');
    }
    this.#tenant = tenant;
  }

  #serve(replyBytesMax: number): boolean {
    const { bytes, start, end } = this.#input;
    const { requestsPerCallMax, replyBytesPerCallMax, frameBytesMax } = this.#options;
    const taken = takePagestreamFrames(bytes, start, end, {
      requestsMax: requestsPerCallMax,
      replyBytesMax: Math.min(replyBytesMax, replyBytesPerCallMax),
      frameBytesMax,
    });
    if (taken.requests === 0) {
      return false;
    }
    const frames = this.#input.take(taken.bytes);
    const { requests, replyBytes } = taken;
    this.#pending = { do: 'serve', stream: this.#stream as PagestreamCommand, frames, requests, replyBytes };
    return true;
  }

  #interruptStream(type: number): void {
    // A client that executes rather than queries sends its Sync along, before it knows that a stream began.
    if (type !== FrontendType.Sync) {
      const name = String.fromCharCode(type);
      this.#leaveStream(
        pageServiceError(
          'pagestream_violation',
          `message ${name} ended the page stream: only CopyData may be sent`,
        ),
      );
    }
  }

  #leaveStream(error: OffshootError): void {
    this.#phase = 'commands';
    this.#stream = undefined;
    this.#fail(error, this.#manner);
  }

  #attempt(manner: Manner, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#fail(asOffshootError(error), manner);
    }
  }

  /** Tells the client; the connection stays, unless the error asks a querying client to reconnect. */
  #fail(error: OffshootError, manner: Manner): void {
    this.#tell(error);
    if (manner === 'execute') {
      this.#skipping = true;
    } else if (error.kind === 'reconnect') {
      this.#close();
    } else {
      this.#output.push(BackendMessage.readyForQuery);
    }
  }

  #tell(error: OffshootError): void {
    this.#options.onError?.(error);
    this.#output.push(errorResponse(error));
  }

  #close(): void {
    this.#phase = 'closed';
    this.#pending = { do: 'close' };
  }
}

/** Left over from a COPY that has failed here already; the client could not know. */
function isCopyMessage(type: number): boolean {
  return type === FrontendType.CopyData || type === FrontendType.CopyDone || type === FrontendType.CopyFail;
}
