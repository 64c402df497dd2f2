import { wireError } from './wire-error.js';

/**
 * A StartupMessage that can be passed on unchanged. Names and values are bytes, one to a character (latin1): which
 * encoding they are in is not known yet.
 */
export interface StartupMessage {
  readonly minorVersion: number;
  /** In the client's order; a name may occur twice, and then the server heeds the last. */
  readonly parameters: readonly (readonly [name: string, value: string])[];
}

/** Reads the body behind the version. Throws `protocol_violation` when it does not end as Postgres wants it to. */
export function parseStartupMessage(minorVersion: number, body: Uint8Array): StartupMessage {
  const texts = Buffer.from(body).toString('latin1').split('\0');
  // The last parameter's NUL, the terminator and the end: two empty texts.
  if (texts.length < 2 || texts.pop() !== '' || texts.pop() !== '' || texts.length % 2 !== 0) {
    throw wireError('protocol_violation', 'the start-up packet does not end with its terminator');
  }
  const parameters: [string, string][] = [];
  for (let at = 0; at < texts.length; at += 2) {
    const [name, value] = [texts[at] as string, texts[at + 1] as string];
    if (name === '') {
      throw wireError('protocol_violation', 'the start-up packet goes on behind its terminator');
    }
    parameters.push([name, value]);
  }
  return { minorVersion, parameters };
}

/** The packet, with its length and version. */
export function startupMessage({ minorVersion, parameters }: StartupMessage): Buffer {
  const body = `${parameters.map(([name, value]) => `${name}\0${value}\0`).join('')}\0`;
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + body.length, 0);
  head.writeUInt16BE(3, 4);
  head.writeUInt16BE(minorVersion, 6);
  return Buffer.concat([head, Buffer.from(body, 'latin1')]);
}
