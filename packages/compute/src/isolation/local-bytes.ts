import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';

const BLOCK_BYTES = 512;
/** `lstat` calls at a time: they take threads of the pool that others need too. */
const AT_A_TIME = 2;

/** Bytes on disk of all files below a directory; files are sparse, so this is not their size. What goes meanwhile is 0. */
export async function localBytesOf(directory: string): Promise<number> {
  let bytes = 0;
  const names: string[] = [];
  const count = async () => {
    const paths = names.splice(0);
    const found = await Promise.all(paths.map((path) => lstat(path).catch(() => undefined)));
    for (const each of found) bytes += (each?.blocks ?? 0) * BLOCK_BYTES;
  };
  const pending = [directory];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const entries = await opendir(next).catch(() => undefined);
    if (entries === undefined) continue;
    for await (const entry of entries) {
      const path = join(next, entry.name);
      if (entry.isDirectory()) pending.push(path);
      else names.push(path);
      if (names.length >= AT_A_TIME) await count();
    }
  }
  await count();
  return bytes;
}
