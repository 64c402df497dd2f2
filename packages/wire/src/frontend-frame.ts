import { wireError } from './wire-error.js';

/** One type byte and a length that counts itself. */
export const FRAME_HEADER_BYTES = 5;

/** Type bytes of the messages that a client of the page service may send. */
export const FrontendType = {
  Query: 0x51,
  Parse: 0x50,
  Describe: 0x44,
  Bind: 0x42,
  Execute: 0x45,
  Close: 0x43,
  Sync: 0x53,
  Terminate: 0x58,
  CopyData: 0x64,
  CopyDone: 0x63,
  CopyFail: 0x66,
  Password: 0x70,
} as const;

const KNOWN = new Uint8Array(256);
for (const type of Object.values(FrontendType)) {
  KNOWN[type] = 1;
}

/**
 * Length in bytes, header included, of the frame that begins at `start`; 0 when its header is not there yet. The body
 * may still be incomplete. Throws `protocol_violation` for an unknown type, or a length beyond `frameBytesMax`,
 * which counts as the length field does.
 */
export function frameBytes(bytes: Uint8Array, start: number, end: number, frameBytesMax: number): number {
  if (start >= end) {
    return 0;
  }
  const type = bytes[start] as number;
  if (KNOWN[type] === 0) {
    throw wireError('protocol_violation', `unknown frontend message type 0x${type.toString(16)}`);
  }
  if (end - start < FRAME_HEADER_BYTES) {
    return 0;
  }
  const length = frameLengthField(bytes, start);
  if (length < 4 || length > frameBytesMax) {
    const name = String.fromCharCode(type);
    throw wireError(
      'protocol_violation',
      `message ${name} of ${length} bytes: 4 to ${frameBytesMax} are allowed`,
    );
  }
  return length + 1;
}

/** The length field of the frame that begins at `start`: body and the field itself. */
export function frameLengthField(bytes: Uint8Array, start: number): number {
  const high = (bytes[start + 1] as number) * 0x100_0000;
  const low =
    ((bytes[start + 2] as number) << 16) | ((bytes[start + 3] as number) << 8) | (bytes[start + 4] as number);
  return high + low;
}
