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
  | { readonly kind: 'ssl-request' | 'gssenc-request' }
  /** The key of a session whose query is to be cancelled. */
  | { readonly kind: 'cancel-request'; readonly processId: number; readonly secret: Uint8Array }
  | {
      readonly kind: 'startup';
      /** 0 in protocol 3.0. */
      readonly minorVersion: number;
      readonly parameters: ReadonlyMap<string, string>;
      /** What `parameters` was read from. */
      readonly body: Uint8Array;
    };

/**
 * Consumes one whole packet, or answers undefined when more bytes are needed.
 * Throws `protocol_violation` as soon as the length or the version cannot be right.
 */
export function readStartupPacket(
  input: InputBuffer,
  bytesMax = STARTUP_BYTES_MAX,
): StartupPacket | undefined {
  if (input.length < 4) {
    return undefined;
  }
  const length = uint32(input.bytes, input.start);
  if (length < STARTUP_BYTES_MIN || length > bytesMax) {
    throw wireError('protocol_violation', `invalid length ${length} of a startup packet`);
  }
  return input.length < length ? undefined : parse(input.take(length));
}

function parse(packet: Uint8Array): StartupPacket {
  const code = uint32(packet, 4);
  if (code === SSL_REQUEST || code === GSSENC_REQUEST) {
    return { kind: code === SSL_REQUEST ? 'ssl-request' : 'gssenc-request' };
  }
  if (code === CANCEL_REQUEST) {
    return parseCancelRequest(packet);
  }
  if (code >>> 16 !== PROTOCOL_MAJOR) {
    throw wireError('protocol_violation', `unsupported frontend protocol ${code >>> 16}.${code & 0xffff}`);
  }
  const body = packet.subarray(8);
  return { kind: 'startup', minorVersion: code & 0xffff, parameters: parseParameters(body), body };
}

/** Key lengths past protocol 3.0, which has 4 bytes, are up to the server. */
function parseCancelRequest(packet: Uint8Array): StartupPacket {
  if (packet.length <= 12) {
    throw wireError('protocol_violation', 'a CancelRequest without a key');
  }
  return { kind: 'cancel-request', processId: uint32(packet, 8), secret: packet.subarray(12) };
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

/** A packet that asks a server to cancel what the session with that key does. */
export function cancelRequest(processId: number, secret: Uint8Array): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt32BE(12 + secret.length, 0);
  head.writeUInt32BE(CANCEL_REQUEST, 4);
  head.writeUInt32BE(processId, 8);
  return Buffer.concat([head, secret]);
}
