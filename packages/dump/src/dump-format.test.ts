import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { recognizeDump } from './dump-format.js';

async function* pieces(bytes: Uint8Array, size = 10): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function all(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const taken: Uint8Array[] = [];
  for await (const piece of bytes) taken.push(piece);
  return Buffer.concat(taken);
}

const tar = (name: string) => {
  const header = Buffer.alloc(1024);
  header.write(name, 0);
  header.write('ustar', 257);
  return header;
};
const sql = Buffer.from('select 1;\n'.repeat(200));

test.each([
  ['plain', sql, 'plain', false],
  ['short', Buffer.from('x'), 'plain', false],
  ['gzip', gzipSync(sql), 'plain', true],
  ['custom', Buffer.from('PGDMP\x01\x0e\x00'), 'custom', false],
  ['custom in gzip', gzipSync(Buffer.from('PGDMP\x01\x0e\x00')), 'custom', true],
  ['tar', tar('toc.dat'), 'tar', false],
])('%s', async (_, bytes, format, compressed) => {
  const dump = await recognizeDump(pieces(bytes));
  expect(dump).toMatchObject({ format, compressed });
  expect((await all(dump.bytes)).length).toBeGreaterThan(0);
  if (format === 'plain' && bytes.length > 1)
    expect(await all((await recognizeDump(pieces(bytes))).bytes)).toEqual(sql);
});

describe('is refused', () => {
  test.each([
    ['nothing', Buffer.alloc(0), 'dump_damaged'],
    ['another tar', tar('x/toc.dat'), 'dump_format_unknown'],
    ['zstd', Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 1]), 'dump_format_unknown'],
    ['binary', Buffer.from([1, 2, 0, 3]), 'dump_format_unknown'],
    ['UTF-16', Buffer.from('select 1', 'utf16le'), 'dump_format_unknown'],
  ])('%s', async (_, bytes, code) => {
    await expect(recognizeDump(pieces(bytes))).rejects.toMatchObject({ code });
  });

  test('gzip that breaks off, when it is read', async () => {
    const whole = gzipSync(
      Buffer.from(Array.from({ length: 5000 }, (_, n) => `select ${n * 7919};\n`).join('')),
    );
    const dump = await recognizeDump(pieces(whole.subarray(0, whole.length - 100)));
    await expect(all(dump.bytes)).rejects.toMatchObject({ code: 'dump_damaged' });
  });

  test('what cannot be read, with its own reason', async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield gzipSync(sql).subarray(0, 20);
      throw new Error('hung up');
    }
    await expect(recognizeDump(broken()).then((dump) => all(dump.bytes))).rejects.toThrow('hung up');
  });
});
