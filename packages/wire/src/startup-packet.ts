import { BodyReader } from './body-reader.js';
import type { InputBuffer } from './input-buffer.js';
import { wireError } from './wire-error.js';

/** Lengths that a packet before the first message may state, its own four bytes included. */
export const STARTUP_BYTES_MIN = 8;
export const STARTUP_BYTES_MAX = 10_000;

/** First byte of a TLS record of type handshake: a client that begins TLS without asking. */
export const TLS_HANDSHAKE = 0x16;

const CANCEL_REQUEST = 80_877_102;
const SSL_REQUEST = 80_877_103;
const GSSENC_REQUEST = 80_877_104;
const PROTOCOL_MAJOR = 3;

/** What a client may send before the first typed message. */
export type StartupPacket =
  | { readonly kind: 'ssl-request' | 'gssenc-request' | 'cancel-request' }
  | { readonly kind: 'startup'; readonly parameters: ReadonlyMap<string, string> };

/**
 * Consumes one whole packet, or answers undefined when more bytes are needed.
 * Throws `protocol_violation` as soon as the length or the version cannot be right.
 */
export function readStartupPacket(input: InputBuffer): StartupPacket | undefined {
  if (input.length < 4) {
    return undefined;
  }
  const length = uint32(input.bytes, input.start);
  if (length < STARTUP_BYTES_MIN || length > STARTUP_BYTES_MAX) {
    throw wireError('protocol_violation', `invalid length ${length} of a startup packet`);
  }
  return input.length < length ? undefined : parse(input.take(length));
}

function parse(packet: Uint8Array): StartupPacket {
  const code = uint32(packet, 4);
  const request = requestKind(code);
  if (request !== undefined) {
    return { kind: request };
  }
  if (code >>> 16 !== PROTOCOL_MAJOR) {
    throw wireError('protocol_violation', `unsupported frontend protocol ${code >>> 16}.${code & 0xffff}`);
  }
  return { kind: 'startup', parameters: parseParameters(packet.subarray(8)) };
}

function requestKind(code: number): 'ssl-request' | 'gssenc-request' | 'cancel-request' | undefined {
  switch (code) {
    case SSL_REQUEST:
      return 'ssl-request';
    case GSSENC_REQUEST:
      return 'gssenc-request';
    case CANCEL_REQUEST:
      return 'cancel-request';
    default:
      return undefined;
  }
}

/** Names and values in turn, closed by an empty name. */
function parseParameters(body: Uint8Array): Map<string, string> {
  const reader = new BodyReader(body, 'StartupMessage');
  const parameters = new Map<string, string>();
  while (reader.bytesLeft > 0) {
    const name = reader.text();
    if (name === '') {
      break;
    }
    parameters.set(name, reader.text());
  }
  return parameters;
}

function uint32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at);
}
