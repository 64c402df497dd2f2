import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync } from 'node:fs';
import { access, readdir } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Bytes } from './bytes.js';
import { dumpError } from './dump-errors.js';
import { telling } from './dump-format.js';
import { inheritedDescriptors } from './inherited-descriptors.js';
import { Stillness } from './stillness.js';

/** The program, and whose rights it gets: ours where no user is named. */
export interface PgRestore {
  readonly path: string;
  readonly user?: { readonly uid?: number; readonly gid?: number } | undefined;
  /** It is ended when it has neither read nor written for so long, while there was something to do. Default: a minute. */
  readonly stillMsMax?: number | undefined;
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
}

const STILL_MS_MAX = 60_000;

/** Where distributions put each version's programs. */
const VERSIONS = '/usr/lib/postgresql';
/** What it last said. */
const WORDS_MAX = 2000;
/** Nothing of this program's own environment: no PGHOST, no .pgpass. */
const ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' };

/**
 * The newest that there is, as an older one does not read a newer one's archives: what distributions install, else in
 * `bindir` or on PATH.
 */
export async function findPgRestore(
  bindir: string,
  path = process.env.PATH ?? '',
): Promise<string | undefined> {
  const versions = (await readdir(VERSIONS).catch(() => []))
    .filter((name) => /^\d+$/.test(name))
    .sort((a, b) => Number(b) - Number(a));
  const places = [
    ...versions.map((version) => join(VERSIONS, version, 'bin')),
    bindir,
    ...path.split(delimiter).filter((each) => each.startsWith('/')),
  ];
  for (const place of places) {
    const program = join(place, 'pg_restore');
    const isThere = await access(program, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return program;
  }
  return undefined;
}

/**
 * The SQL of an archive. The program is given the archive and nothing to connect to: what is in the archive is text to it,
 * and whoever reads the SQL decides what is done. Throws `pg_restore_failed`, `pg_restore_not_found`, the signal's reason, and
 * what reading the archive throws.
 */
export async function* sqlOfArchive(archive: Bytes, pgRestore: PgRestore): AsyncGenerator<Uint8Array> {
  const { path, stillMsMax = STILL_MS_MAX, signal } = pgRestore;
  signal?.throwIfAborted();
  const stillness = new Stillness(stillMsMax);
  const child = started(pgRestore);
  const source: { failure?: unknown } = {};
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = `${words}${text}`.slice(-WORDS_MAX);
  });
  const ended: Promise<unknown> = once(child, 'close').catch((error: unknown) => error);
  // It may end before it has read everything; its exit code says why.
  const fed = pipeline(Readable.from(stillness.given(telling(archive, source))), child.stdin).catch(
    () => undefined,
  );
  let isStill = false;
  const giveUp = () => {
    isStill = true;
    child.kill('SIGKILL');
  };
  // A generator cannot be left while somebody waits for its next piece: that comes to an end with the program.
  const callOff = () => child.kill('SIGKILL');
  signal?.addEventListener('abort', callOff, { once: true });
  try {
    const pieces: AsyncIterator<Buffer> = child.stdout[Symbol.asyncIterator]();
    for (;;) {
      const { done, value } = await stillness.waitFor(pieces.next(), giveUp);
      if (done) break;
      yield value;
    }
    const end = await ended;
    signal?.throwIfAborted();
    if (isStill) {
      throw dumpError(
        'pg_restore_failed',
        `pg_restore cannot read the dump: it did nothing for ${stillMsMax} ms, and was ended`,
      );
    }
    if ('failure' in source) throw source.failure;
    if (end instanceof Error) {
      throw dumpError('pg_restore_not_found', `${path} cannot be started: ${end.message}`, { cause: end });
    }
    const [code, by] = end as [number | null, string | null];
    if (code !== 0) {
      const said = words.trim() || `it ended with ${by ?? code}`;
      throw dumpError('pg_restore_failed', `pg_restore cannot read the dump: ${said}`);
    }
  } finally {
    signal?.removeEventListener('abort', callOff);
    child.kill('SIGKILL');
    child.stdin.destroy();
    await ended;
    await fed;
  }
}

/** It reads what anybody may send: of this process it gets nothing, no catalog and no pages. */
function started({ path, user }: PgRestore): ChildProcessWithoutNullStreams {
  const nothing = openSync('/dev/null', 'r');
  try {
    const stdio: ('pipe' | 'ignore' | number)[] = ['pipe', 'pipe', 'pipe'];
    for (const descriptor of inheritedDescriptors()) stdio[descriptor] = nothing;
    const all = Array.from(stdio, (each) => each ?? 'ignore');
    const child = spawn(path, ['--file=-'], { ...user, cwd: '/', env: ENVIRONMENT, stdio: all });
    return child as ChildProcessWithoutNullStreams;
  } finally {
    closeSync(nothing);
  }
}
