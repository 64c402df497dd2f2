/** Bytes in pieces, as they come. */
export type Bytes = AsyncIterable<Uint8Array>;

/** What it begins with, up to `wanted` bytes, and all of it from the beginning. */
export async function beginningOf(bytes: Bytes, wanted: number): Promise<{ head: Buffer; all: Bytes }> {
  const pieces = bytes[Symbol.asyncIterator]();
  const taken: Buffer[] = [];
  let length = 0;
  while (length < wanted) {
    const { done, value } = await pieces.next();
    if (done) break;
    taken.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
    length += value.byteLength;
  }
  return { head: Buffer.concat(taken).subarray(0, wanted), all: joined(taken, pieces) };
}

async function* joined(
  taken: readonly Buffer[],
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    yield* taken;
    for (;;) {
      const { done, value } = await rest.next();
      if (done) return;
      yield value;
    }
  } finally {
    await rest.return?.();
  }
}
