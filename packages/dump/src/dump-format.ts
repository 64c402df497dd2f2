import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { type Bytes, beginningOf } from './bytes.js';
import { dumpError } from './dump-errors.js';

/** `plain`: SQL. `custom` and `tar`: what pg_dump -Fc and -Ft write, which pg_restore makes SQL of. */
export type DumpFormat = 'plain' | 'custom' | 'tar';

export interface RecognizedDump {
  readonly format: DumpFormat;
  /** Whether it came in gzip's format. */
  readonly compressed: boolean;
  /** Not compressed any more. */
  readonly bytes: Bytes;
}

/** The kind of archive stands at its beginning; of tar, behind its first member's name and rights. */
const HEAD_BYTES = 512;
const TAR_MAGIC_AT = 257;
/** Where there is text, no byte is zero. */
const LOOKS_BINARY = /\0/;

const GZIP = Buffer.from([0x1f, 0x8b]);
/** Of what is compressed by other programs, with what undoes that. */
const OTHERS: readonly (readonly [Buffer, string])[] = [
  [Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), 'zstd'],
  [Buffer.from([0x04, 0x22, 0x4d, 0x18]), 'lz4'],
  [Buffer.from('BZh'), 'bzip2'],
  [Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a]), 'xz'],
];

/** What a dump is, by its first bytes. Throws `dump_format_unknown`, `dump_damaged` when there is nothing, and as its bytes are read. */
export async function recognizeDump(dump: Bytes): Promise<RecognizedDump> {
  const { head, all } = await beginningOf(dump, HEAD_BYTES);
  if (!startsWith(head, GZIP)) return { format: formatOf(head), compressed: false, bytes: all };
  const inner = await beginningOf(gunzipped(all), HEAD_BYTES);
  return { format: formatOf(inner.head), compressed: true, bytes: inner.all };
}

function formatOf(head: Buffer): DumpFormat {
  if (head.length === 0) throw dumpError('dump_damaged', 'the dump is empty');
  if (startsWith(head, Buffer.from('PGDMP'))) return 'custom';
  if (head.subarray(TAR_MAGIC_AT, TAR_MAGIC_AT + 5).toString('latin1') === 'ustar') {
    if (startsWith(head, Buffer.from('toc.dat'))) return 'tar';
    throw dumpError(
      'dump_format_unknown',
      'this is a tar archive, and not one that pg_dump -Ft wrote: of a directory that pg_dump -Fd wrote, pg_restore -f - ' +
        'DIRECTORY makes SQL',
    );
  }
  const other = OTHERS.find(([magic]) => startsWith(head, magic))?.[1];
  if (other !== undefined) {
    throw dumpError(
      'dump_format_unknown',
      `the dump is compressed by ${other}: send what ${other} -dc makes of it`,
    );
  }
  if (LOOKS_BINARY.test(head.toString('latin1'))) {
    throw dumpError('dump_format_unknown', 'the dump is neither SQL nor an archive of pg_dump');
  }
  return 'plain';
}

function startsWith(head: Buffer, magic: Buffer): boolean {
  return head.subarray(0, magic.length).equals(magic);
}

async function* gunzipped(bytes: Bytes): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip();
  const source: { failure?: unknown } = {};
  const piped = pipeline(Readable.from(telling(bytes, source)), gunzip).catch(() => undefined);
  try {
    yield* gunzip;
  } catch (error) {
    if ('failure' in source) throw source.failure;
    const words = error instanceof Error ? error.message : String(error);
    throw dumpError('dump_damaged', `the dump's compression is broken: ${words}`, { cause: error });
  } finally {
    gunzip.destroy();
    await piped;
  }
}

/** Notes when what it is read from fails. That whoever takes it gives up is no such failure. */
export async function* telling(bytes: Bytes, source: { failure?: unknown }): AsyncGenerator<Uint8Array> {
  const pieces = bytes[Symbol.asyncIterator]();
  const next = () =>
    pieces.next().catch((error: unknown) => {
      source.failure = error;
      throw error;
    });
  try {
    for (;;) {
      const { done, value } = await next();
      if (done) return;
      yield value;
    }
  } finally {
    await pieces.return?.();
  }
}
