import { describe, expect, test } from 'vitest';
import { FrontendType, frameBytes } from './frontend-frame.js';

const head = (type: string, length: number) => {
  const bytes = Buffer.alloc(5, type);
  bytes.writeUInt32BE(length, 1);
  return bytes;
};
const measure = (bytes: Uint8Array) => frameBytes(bytes, 0, bytes.length, 1000);

describe('a frame', () => {
  test.each(Object.entries(FrontendType))('of type %s is measured by its header', (_name, type) => {
    const letter = String.fromCharCode(type);
    expect(measure(head(letter, 4))).toBe(5);
    expect(measure(head(letter, 1000))).toBe(1001);
    for (let cut = 0; cut < 5; cut++) {
      expect(measure(head(letter, 4).subarray(0, cut))).toBe(0);
    }
  });

  test.each([
    ['unknown type', Buffer.from('H'), 'unknown'],
    ['length 3', head('Q', 3), '3 bytes'],
    ['length 1001', head('Q', 1001), '1001 bytes'],
    ['length 2 GB', head('d', 0x7fff_ffff), '2147483647 bytes'],
    ['length -1', head('d', 0xffff_ffff), '4294967295 bytes'],
  ])('with %s is refused', (_name, bytes, why) => {
    expect(() => measure(bytes)).toThrow(expect.objectContaining({ code: 'protocol_violation' }));
    expect(() => measure(bytes)).toThrow(why);
  });
});
