import { FRAME_HEADER_BYTES, frameLengthField } from '@offshoot/wire';
import { gatewayError } from './gateway-errors.js';

/** Types of the messages that a server may send before its first ReadyForQuery. */
const Type = {
  Authentication: 0x52,
  BackendKeyData: 0x4b,
  ErrorResponse: 0x45,
  NegotiateProtocolVersion: 0x76,
  NoticeResponse: 0x4e,
  ParameterStatus: 0x53,
  ReadyForQuery: 0x5a,
} as const;

const KNOWN: ReadonlySet<number> = new Set(Object.values(Type));

/** Authentication requests to which the client has nothing to say: Ok and SASLFinal. */
const NO_ANSWER: ReadonlySet<number> = new Set([0, 12]);

/** Messages whose beginning is looked at: header and this many bytes of the body are gathered. */
const BODY_BYTES_SEEN: Readonly<Record<number, number>> = { [Type.Authentication]: 4 };

/** A key has a process id and a secret of 4 bytes, or of up to 256 past protocol 3.0. */
const KEY_BODY_BYTES_MIN = 8;
const KEY_BODY_BYTES_MAX = 260;

/** What the client gets in place of a compute's BackendKeyData. */
export type ReplaceKey = (processId: number, secret: Uint8Array) => Uint8Array;

/**
 * A compute's answers from the start-up packet to ReadyForQuery, without a socket. They pass through in pieces as they
 * come, save the key, which is replaced.
 */
export class StartupExchange {
  readonly #replaceKey: ReplaceKey;
  /** The beginning of a message that is not whole enough yet. */
  #begun: Buffer = Buffer.alloc(0);
  /** Body bytes of the message under way that still pass through. */
  #passing = 0;
  #state: 'under-way' | 'refused' | 'ready' = 'under-way';
  #turn: 'compute' | 'client' = 'compute';

  constructor(replaceKey: ReplaceKey) {
    this.#replaceKey = replaceKey;
  }

  /** `refused`: the compute has sent an error, which ends the connection. `ready`: what follows is none of our business. */
  get state(): 'under-way' | 'refused' | 'ready' {
    return this.#state;
  }

  /** Who owes the next message. */
  get turn(): 'compute' | 'client' {
    return this.#turn;
  }

  /** True when the client has got whole messages: another may follow. */
  get betweenMessages(): boolean {
    return this.#passing === 0;
  }

  clientSpoke(): void {
    this.#turn = 'compute';
  }

  /** Answers what the client gets. Throws `compute_protocol_violation` for what Postgres would not send. */
  push(chunk: Buffer): Uint8Array[] {
    const out: Uint8Array[] = [];
    let at = 0;
    while (at < chunk.length) {
      if (this.#passing > 0 || this.#state === 'ready') {
        const end = this.#state === 'ready' ? chunk.length : Math.min(chunk.length, at + this.#passing);
        this.#passing = Math.max(0, this.#passing - (end - at));
        out.push(chunk.subarray(at, end));
        at = end;
      } else {
        at = this.#gather(chunk, at, out);
      }
    }
    return out;
  }

  /** Adds to the message that begins, until enough of it is here. */
  #gather(chunk: Buffer, at: number, out: Uint8Array[]): number {
    const wanted = this.#begun.length < FRAME_HEADER_BYTES ? FRAME_HEADER_BYTES : this.#seenBytes();
    const end = Math.min(chunk.length, at + wanted - this.#begun.length);
    this.#begun = Buffer.concat([this.#begun, chunk.subarray(at, end)]);
    if (this.#begun.length >= FRAME_HEADER_BYTES && this.#begun.length === this.#seenBytes()) {
      const seen = this.#begun;
      this.#begun = Buffer.alloc(0);
      out.push(this.#take(seen));
    }
    return end;
  }

  /** How much of the message that has begun is looked at, its header included. */
  #seenBytes(): number {
    const type = this.#begun[0] as number;
    const bodyBytes = frameLengthField(this.#begun, 0) - 4;
    if (!KNOWN.has(type) || bodyBytes < 0) {
      throw unexpected(`a message of type 0x${type.toString(16)} with ${bodyBytes} bytes`);
    }
    if (type !== Type.BackendKeyData) {
      return FRAME_HEADER_BYTES + Math.min(bodyBytes, BODY_BYTES_SEEN[type] ?? 0);
    }
    if (bodyBytes < KEY_BODY_BYTES_MIN || bodyBytes > KEY_BODY_BYTES_MAX) {
      throw unexpected(`a key of ${bodyBytes} bytes`);
    }
    return FRAME_HEADER_BYTES + bodyBytes;
  }

  #take(seen: Buffer): Uint8Array {
    const type = seen[0] as number;
    const bodySeen = seen.subarray(FRAME_HEADER_BYTES);
    this.#passing = frameLengthField(seen, 0) - 4 - bodySeen.length;
    this.#turn = 'compute';
    if (type === Type.BackendKeyData) {
      return this.#replaceKey(bodySeen.readUInt32BE(), bodySeen.subarray(4));
    }
    if (type === Type.ReadyForQuery) {
      this.#state = 'ready';
    } else if (type === Type.ErrorResponse) {
      this.#state = 'refused';
    } else if (type === Type.Authentication && bodySeen.length === 4) {
      this.#turn = NO_ANSWER.has(bodySeen.readUInt32BE()) ? 'compute' : 'client';
    }
    return seen;
  }
}

function unexpected(what: string) {
  return gatewayError('compute_protocol_violation', `the compute answered the start-up with ${what}`);
}
