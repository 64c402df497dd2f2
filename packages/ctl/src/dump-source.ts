import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';

/** The dump that was named cannot be read here. */
export class DumpSourceError extends Error {
  override readonly name = 'DumpSourceError';
  readonly code = 'dump_unreadable';

  constructor(
    message: string,
    readonly agentAction: string,
    options: { cause?: unknown } = {},
  ) {
    super(message, options);
  }
}

/** A dump as it comes, and how long it is where that is known. */
export interface DumpSource {
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly size: number | undefined;
}

/**
 * A file, what `http(s)` serves, or standard input (`-`). It is this program that reads it: the page server reads no files and
 * fetches nothing for its callers. Throws `DumpSourceError`.
 */
export async function openDump(named: string, signal: AbortSignal): Promise<DumpSource> {
  if (named === '-') return { bytes: process.stdin, size: undefined };
  if (/^https?:\/\//i.test(named)) return await fetched(named, signal);
  const found = await stat(named).catch((cause: unknown) => {
    throw new DumpSourceError(
      `${named} cannot be read: ${wordsOf(cause)}`,
      'name a file, a URL, or - for standard input',
      {
        cause,
      },
    );
  });
  if (found.isDirectory()) {
    throw new DumpSourceError(
      `${named} is a directory`,
      `make SQL of a directory that pg_dump -Fd wrote: pg_restore -f - ${named} | pageserver-ctl database create --from-dump -`,
    );
  }
  return { bytes: createReadStream(named), size: found.isFile() ? found.size : undefined };
}

async function fetched(url: string, signal: AbortSignal): Promise<DumpSource> {
  const mend = 'check the URL, or fetch it yourself: curl ... | pageserver-ctl database create --from-dump -';
  const response = await fetch(url, { signal }).catch((cause: unknown) => {
    throw new DumpSourceError(`${withoutLogin(url)} does not answer: ${wordsOf(cause)}`, mend, { cause });
  });
  if (!response.ok || response.body === null) {
    throw new DumpSourceError(
      `${withoutLogin(url)} answered ${response.status} ${response.statusText}`,
      mend,
    );
  }
  const length = Number(response.headers.get('content-length') ?? Number.NaN);
  // What fetch has unpacked is longer than that says.
  const isPacked = response.headers.get('content-encoding') !== null;
  return {
    bytes: Readable.fromWeb(response.body as never),
    size: Number.isSafeInteger(length) && !isPacked ? length : undefined,
  };
}

/** URLs of stores hold secrets in their queries, too. */
function withoutLogin(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}
