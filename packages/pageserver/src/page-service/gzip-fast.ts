import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createGzip } from 'node:zlib';

const CHUNK_BYTES = 128 * 1024;

/** Compresses at the fastest level, off the event loop. Fails with the source's error; giving up gives up the source. */
export async function* gzipFast(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const gzip = createGzip({ level: constants.Z_BEST_SPEED, chunkSize: CHUNK_BYTES });
  // The error arrives through `gzip` too, which the pipeline destroys with it.
  const feeding = pipeline(Readable.from(chunks, { objectMode: true, highWaterMark: 1 }), gzip).catch(
    () => {},
  );
  try {
    yield* gzip as AsyncIterable<Uint8Array>;
  } finally {
    gzip.destroy();
    await feeding;
  }
}
