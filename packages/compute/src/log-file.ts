import { copyFile, open, stat, truncate } from 'node:fs/promises';

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

/**
 * Keeps a log that is being appended to within about twice `bytesMax`: past it, its content becomes `FILE.1`, and it
 * begins anew. Lines written in that moment may be lost.
 */
export async function boundLog(logFile: string, bytesMax: number): Promise<void> {
  const found = await stat(logFile).catch(() => undefined);
  if (found !== undefined && found.size > bytesMax) {
    await copyFile(logFile, `${logFile}.1`);
    await truncate(logFile, 0);
  }
}
