import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { access, readdir } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Bytes } from './bytes.js';
import { dumpError } from './dump-errors.js';
import { telling } from './dump-format.js';

/** The program, and whose rights it gets: ours where no user is named. */
export interface PgRestore {
  readonly path: string;
  readonly user?: { readonly uid?: number; readonly gid?: number } | undefined;
}

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
 * and whoever reads the SQL decides what is done. Throws `pg_restore_failed`, `pg_restore_not_found`, and what reading the
 * archive throws.
 */
export async function* sqlOfArchive(archive: Bytes, { path, user }: PgRestore): AsyncGenerator<Uint8Array> {
  const child = spawn(path, ['--file=-'], { ...user, cwd: '/', env: ENVIRONMENT, stdio: 'pipe' });
  const source: { failure?: unknown } = {};
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = `${words}${text}`.slice(-WORDS_MAX);
  });
  const ended: Promise<unknown> = once(child, 'close').catch((error: unknown) => error);
  // It may end before it has read everything; its exit code says why.
  const fed = pipeline(Readable.from(telling(archive, source)), child.stdin).catch(() => undefined);
  try {
    yield* child.stdout;
    const end = await ended;
    if ('failure' in source) throw source.failure;
    if (end instanceof Error) {
      throw dumpError('pg_restore_not_found', `${path} cannot be started: ${end.message}`, { cause: end });
    }
    const [code, signal] = end as [number | null, string | null];
    if (code !== 0) {
      const said = words.trim() || `it ended with ${signal ?? code}`;
      throw dumpError('pg_restore_failed', `pg_restore cannot read the dump: ${said}`);
    }
  } finally {
    child.kill('SIGKILL');
    child.stdin.destroy();
    await ended;
    await fed;
  }
}
