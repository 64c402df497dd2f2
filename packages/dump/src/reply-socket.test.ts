import { expect, test } from 'vitest';
import { Replies } from './reply-socket.js';

function message(type: string, body: string | Buffer): Buffer {
  const bytes = Buffer.concat([
    Buffer.from(`${type}\0\0\0\0`, 'latin1'),
    Buffer.from(body as string, 'latin1'),
  ]);
  bytes.writeUInt32BE(bytes.length - 1, 1);
  return bytes;
}

/** However the bytes are cut into pieces, the same comes of them. */
function wantedOf(...messages: Buffer[]): Buffer {
  const bytes = Buffer.concat(messages);
  const inPieces = (size: number) => {
    const replies = new Replies();
    const kept: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += size) kept.push(replies.wanted(bytes.subarray(at, at + size)));
    return Buffer.concat(kept);
  };
  const whole = inPieces(bytes.length);
  for (const size of [1, 2, 3, 5, 7, 4096]) expect(inPieces(size).equals(whole)).toBe(true);
  return whole;
}

const ready = message('Z', 'I');

test('rows are left out, and all else is as it was', () => {
  const others = [
    message('R', '\0\0\0\0'),
    message('T', 'x'.repeat(20_000)),
    message('C', 'SELECT 2\0'),
    ready,
  ];
  const [auth, description, ...rest] = others as [Buffer, Buffer, ...Buffer[]];
  const rows = [message('D', 'x'.repeat(30_000)), message('d', ''), message('D', 'y')];
  expect(wantedOf(auth, description, ...rows, ...rest)).toEqual(Buffer.concat(others));
  expect(wantedOf(message('I', ''), message('D', ''), ready)).toEqual(
    Buffer.concat([message('I', ''), ready]),
  );
});

test.each(['E', 'N'])('words that do not end are cut off, and what follows is whole: %s', (type) => {
  const short = message(type, 'SERROR\0C22012\0Mdivision by zero\0\0');
  expect(wantedOf(short, ready)).toEqual(Buffer.concat([short, ready]));
  const head = 'SERROR\0CP0001\0M';
  const long = wantedOf(message(type, `${head}${'x'.repeat(100_000)}\0Dmore\0\0`), ready);
  expect(long).toEqual(Buffer.concat([message(type, `${head}${'x'.repeat(8190 - head.length)}\0\0`), ready]));
});
