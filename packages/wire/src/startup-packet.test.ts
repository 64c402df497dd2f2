import { describe, expect, test } from 'vitest';
import { InputBuffer } from './input-buffer.js';
import { cancelRequest, readStartupPacket } from './startup-packet.js';

function packet(code: number, body = '', length = 8 + Buffer.byteLength(body)): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(length);
  head.writeUInt32BE(code, 4);
  return Buffer.concat([head, Buffer.from(body)]);
}

function read(bytes: Uint8Array) {
  const input = new InputBuffer();
  input.append(bytes);
  return { packet: readStartupPacket(input), left: input.length };
}

const STARTUP = 0x30000;

function startup(minorVersion: number, body: string, parameters: [string, string][] = []) {
  return { kind: 'startup', minorVersion, parameters: new Map(parameters), body: Buffer.from(body) };
}

describe('a packet before the first message', () => {
  test.each([
    ['SSLRequest', packet(80877103), { kind: 'ssl-request' }],
    ['GSSENCRequest', packet(80877104), { kind: 'gssenc-request' }],
    [
      'CancelRequest',
      packet(80877102, '12345678'),
      { kind: 'cancel-request', processId: 0x31323334, secret: Buffer.from('5678') },
    ],
    [
      'CancelRequest of protocol 3.2',
      cancelRequest(7, Buffer.alloc(32, 1)),
      { kind: 'cancel-request', processId: 7, secret: Buffer.alloc(32, 1) },
    ],
    ['StartupMessage', packet(STARTUP, 'user\0u\0\0'), startup(0, 'user\0u\0\0', [['user', 'u']])],
    ['StartupMessage 3.2', packet(STARTUP + 2, '\0'), startup(2, '\0')],
    ['StartupMessage of 8 bytes', packet(STARTUP), startup(0, '')],
  ])('%s', (_name, bytes, expected) => {
    expect(read(bytes)).toEqual({ packet: expected, left: 0 });
    for (let cut = 0; cut < bytes.length; cut++) {
      expect(read(bytes.subarray(0, cut))).toEqual({ packet: undefined, left: cut });
    }
  });

  test('leaves what follows', () => {
    expect(read(Buffer.concat([packet(STARTUP), Buffer.from('QQ')])).left).toBe(2);
  });

  test.each([
    ['too short', packet(STARTUP, '', 7), 'length'],
    ['too long', packet(STARTUP, '', 10_001), 'length'],
    ['a CancelRequest without its key', packet(80877102, '1234'), 'key'],
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\n'), 'length'],
    ['protocol 2', packet(0x20000), 'protocol 2.0'],
    ['a name without its end', packet(STARTUP, 'user'), 'end'],
    ['a name without a value', packet(STARTUP, 'user\0'), 'end'],
  ])('%s is refused', (_name, bytes, why) => {
    expect(() => read(bytes)).toThrow(expect.objectContaining({ code: 'protocol_violation' }));
    expect(() => read(bytes)).toThrow(why);
  });
});
