import { open, stat, truncate } from 'node:fs/promises';

/** Bytes at the end of a log that an error quotes from. */
const TAIL_BYTES = 8192;
const TAIL_LINES = 10;

/** The last lines of a log, for an error message; empty when there are none. */
export async function logTail(logFile: string, linesMax: number = TAIL_LINES): Promise<string> {
  const file = await open(logFile, 'r').catch(() => undefined);
  if (file === undefined) {
    return '';
  }
  try {
    const { size } = await file.stat();
    const buffer = Buffer.alloc(Math.min(size, TAIL_BYTES));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString('utf8', 0, bytesRead).trimEnd().split('\n').slice(-linesMax).join('\n');
  } finally {
    await file.close();
  }
}

/** Copied at a time. */
const COPY_BYTES = 1024 * 1024;

/**
 * Keeps a log that is being appended to within about twice `bytesMax`, and what is written to it between two calls: past
 * it, its last `bytesMax` bytes become `FILE.1`, and it begins anew. Lines written in that moment may be lost. One call at a
 * time.
 */
export async function boundLog(logFile: string, bytesMax: number): Promise<void> {
  const found = await stat(logFile).catch(() => undefined);
  if (found !== undefined && found.size > bytesMax) {
    await copyEnd(logFile, `${logFile}.1`, found.size, bytesMax);
    await truncate(logFile, 0);
  }
}

/** Never more than that: whoever has the log open may have given it any size. */
async function copyEnd(path: string, to: string, size: number, bytesMax: number): Promise<void> {
  const from = await open(path, 'r');
  try {
    const copy = await open(to, 'w', 0o600);
    try {
      const buffer = Buffer.alloc(Math.min(COPY_BYTES, bytesMax));
      for (let at = size - bytesMax; at < size; ) {
        const { bytesRead } = await from.read(buffer, 0, Math.min(buffer.length, size - at), at);
        if (bytesRead === 0) break;
        await copy.write(buffer, 0, bytesRead);
        at += bytesRead;
      }
    } finally {
      await copy.close();
    }
  } finally {
    await from.close();
  }
}
