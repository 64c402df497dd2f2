/** A packet before the first message. */
export function packet(code: number, body: Uint8Array | string = ''): Buffer {
  const bytes = Buffer.from(body as string, 'latin1');
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + bytes.length);
  head.writeUInt32BE(code, 4);
  return Buffer.concat([head, bytes]);
}

/** A StartupMessage of protocol 3.0. */
export function startup(parameters: Readonly<Record<string, string>>): Buffer {
  const texts = Object.entries(parameters).flat();
  return packet(0x30000, `${texts.map((text) => `${text}\0`).join('')}\0`);
}

/** A message with its type. */
export function frame(type: string, body: Uint8Array | string = ''): Buffer {
  const bytes = Buffer.from(body as string, 'latin1');
  const head = Buffer.alloc(5, type);
  head.writeUInt32BE(bytes.length + 4, 1);
  return Buffer.concat([head, bytes]);
}

export const SSL_REQUEST = packet(80_877_103);
export const GSSENC_REQUEST = packet(80_877_104);
export const AUTHENTICATION_OK = frame('R', '\0\0\0\0');
export const READY = frame('Z', 'I');
/** BackendKeyData with process id 7 and secret `key!`. */
export const KEY = frame('K', '\0\0\0\x07key!');
/** What a compute says to a client that needs no password. */
export const WELCOME = Buffer.concat([AUTHENTICATION_OK, frame('S', 'a\0b\0'), KEY, READY]);
