import { expect, test } from 'vitest';
import { InputBuffer } from './input-buffer.js';

const bytes = (...values: number[]) => Uint8Array.from(values);

test('any chunking gives the same bytes, and a taken slice stays as it is', () => {
  for (const chunkBytes of [1, 2, 3, 7, 64, 10_000]) {
    const input = new InputBuffer();
    const all = Uint8Array.from({ length: 10_000 }, (_, index) => index % 251);
    const taken: Uint8Array[] = [];
    for (let at = 0; at < all.length; at += chunkBytes) {
      input.append(all.slice(at, at + chunkBytes));
      if (input.length > 5) {
        taken.push(input.take(input.length - 2));
      }
    }
    taken.push(input.take(input.length));
    expect(Buffer.concat(taken).equals(all)).toBe(true);
  }
});

test('a chunk is adopted when nothing is waiting', () => {
  const input = new InputBuffer();
  const chunk = bytes(1, 2, 3);
  input.append(chunk);
  expect(input.take(2).buffer).toBe(chunk.buffer);
  input.append(bytes(4));
  expect([...input.take(2)]).toEqual([3, 4]);
  expect(chunk).toEqual(bytes(1, 2, 3));
});

test('more than is there cannot be taken', () => {
  const input = new InputBuffer();
  input.append(bytes(1));
  expect(() => input.take(2)).toThrow(RangeError);
  expect(() => input.skip(-1)).toThrow(RangeError);
});
