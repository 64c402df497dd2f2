import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** A unit of `st_blocks`, whatever the file system's own block size. */
const statBlockBytes = 512;

/** Bytes on disk of everything below a directory; holes of sparse files do not count. */
export async function diskUsage(directory: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    bytes += entry.isDirectory() ? await diskUsage(path) : (await lstat(path)).blocks * statBlockBytes;
  }
  return bytes;
}
