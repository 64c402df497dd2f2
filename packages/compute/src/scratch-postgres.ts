import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFile, chown, mkdir, realpath, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { StopMode } from './compute-driver.js';
import { computeError } from './compute-errors.js';
import { formatParameters, type Parameters, parameterArguments, quoteListElement } from './configuration.js';
import { endProcesses } from './end-processes.js';
import { freePort, isPortTaken, LOOPBACK } from './free-ports.js';
import { type OsUser, resolveOsUser, spawnAs } from './os-user.js';
import type { PostgresInstallation } from './postgres-installation.js';
import { PostgresProcess } from './postgres-process.js';
import { readOwnPostmasterPid } from './postmaster-pid.js';
import { sendSignal } from './process-table.js';
import { assertEnterable } from './reachability.js';
import { awaitReady } from './readiness.js';
import { chooseSocketDirectory, makeSocketDirectory, temporaryDirectories } from './socket-directory.js';

export interface ScratchPostgresOptions {
  /** Made if it is not there; holds `data`, `postgres.log` and, if its path is short, the socket. */
  readonly directory: string;
  readonly installation: PostgresInstallation;
  readonly osUser?: OsUser | undefined;
  /** `loopback`: besides the Unix socket, a free port of 127.0.0.1, with a password. */
  readonly listen?: 'socket' | 'loopback' | undefined;
  /** Further parameters of postgresql.conf. */
  readonly parameters?: Parameters | undefined;
  /** Where parameters go. `arguments`: nothing is written into the data directory, which is another user's. */
  readonly parametersIn?: 'file' | 'arguments' | undefined;
  /** Aborting it ends initdb. */
  readonly signal?: AbortSignal | undefined;
  readonly dataChecksums?: 'on' | 'off' | undefined;
  /** Further arguments of initdb, such as `--wal-segsize=1`. */
  readonly initdbArgs?: readonly string[] | undefined;
  readonly startTimeoutMs?: number | undefined;
  readonly stopTimeoutMs?: number | undefined;
}

/** How a client connects, in the words of `pg`. */
export interface ScratchConnection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 120_000;
const INITDB_TIMEOUT_MS = 300_000;
const PORT_ATTEMPTS_MAX = 5;
const SUPERUSER = 'postgres';
/** Names the socket's file when there is no TCP port. */
const SOCKET_ONLY_PORT = 5432;
/** Nothing of this program's own environment. */
const ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' };

/**
 * The shell is Postgres' parent and ends with it. When its standard input ends, because whoever started it is gone,
 * so does Postgres (SIGQUIT: immediate shutdown).
 */
const GUARD = [
  'exec 3<&0 </dev/null',
  '"$@" 3<&- & postgres=$!',
  '{ read -r _ <&3; kill -QUIT $postgres; } & guard=$!',
  'wait $postgres; status=$?; kill $guard 2>/dev/null; exit $status',
].join('\n');

/**
 * An ordinary Postgres in a directory of its own: production in the demo, in tests and in benches. It may be started
 * and stopped repeatedly and does not outlive the process that started it.
 */
export class ScratchPostgres {
  #process: PostgresProcess | undefined;
  #port: number;

  private constructor(
    private readonly options: ScratchPostgresOptions,
    readonly osUser: OsUser,
    /** A real path, without symbolic links. */
    readonly directory: string,
    readonly socketDirectory: string,
    readonly password: string,
    port: number,
  ) {
    this.#port = port;
  }

  /** Runs initdb and writes the configuration; does not start it. Throws `scratch_postgres_failed`, `path_unreachable`. */
  static async create(options: ScratchPostgresOptions): Promise<ScratchPostgres> {
    const osUser = options.osUser ?? (await resolveOsUser());
    await mkdir(options.directory, { recursive: true, mode: 0o755 });
    const directory = await realpath(options.directory);
    await assertEnterable(osUser, directory);
    const id = `scratch-${randomBytes(4).toString('hex')}`;
    const port = options.listen === 'loopback' ? await freePort() : SOCKET_ONLY_PORT;
    const socketDirectory = chooseSocketDirectory(directory, id, port, temporaryDirectories(osUser));
    const password = randomBytes(16).toString('hex');
    const scratch = new ScratchPostgres(options, osUser, directory, socketDirectory, password, port);
    await scratch.#initdb();
    return scratch;
  }

  get dataDirectory(): string {
    return join(this.directory, 'data');
  }

  get logFile(): string {
    return join(this.directory, 'postgres.log');
  }

  /** Names the socket's file too. Another one after a start, if somebody took it meanwhile. */
  get port(): number {
    return this.#port;
  }

  /** By TCP when it listens on loopback, else by the Unix socket. */
  connection(database: string = SUPERUSER): ScratchConnection {
    const host = this.options.listen === 'loopback' ? LOOPBACK : this.socketDirectory;
    return { host, port: this.#port, user: SUPERUSER, password: this.password, database };
  }

  /** The same as a connection string, which `pg` and libpq understand. */
  url(database: string = SUPERUSER): string {
    const { user, password } = this.connection();
    const name = encodeURIComponent(database);
    return this.options.listen === 'loopback'
      ? `postgresql://${user}:${password}@${LOOPBACK}:${this.#port}/${name}`
      : `postgresql://${user}@/${name}?host=${encodeURIComponent(this.socketDirectory)}&port=${this.#port}`;
  }

  /** Answers when a query has succeeded. Throws `scratch_postgres_failed` with the log's last lines. */
  async start(): Promise<void> {
    if (this.#process !== undefined && this.#process.exit === undefined) {
      return;
    }
    await this.#clearKilled();
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#startOnce();
      } catch (error) {
        await this.stop('immediate');
        if (this.options.listen !== 'loopback' || attempt === PORT_ATTEMPTS_MAX || !isPortTaken(error)) {
          throw asScratchError('does not start', error);
        }
        this.#port = await freePort();
      }
    }
  }

  /** Answers when no process of it is left. Nothing happens when it is not running. */
  async stop(mode: StopMode = 'fast'): Promise<void> {
    const guard = this.#process;
    if (guard !== undefined && guard.exit === undefined) {
      const postmaster = await readOwnPostmasterPid(this.dataDirectory, guard);
      if (postmaster === undefined) {
        guard.closeInput();
      } else {
        sendSignal(postmaster.pid, mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
      }
      await this.#awaitExit(guard);
    }
    this.#process = undefined;
    await rm(this.socketDirectory, { recursive: true, force: true });
  }

  /** Stops it and removes its directory. */
  async destroy(): Promise<void> {
    await this.stop('immediate');
    await rm(this.directory, { recursive: true, force: true });
  }

  async #initdb(): Promise<void> {
    const { osUser, dataDirectory, password } = this;
    const passwordFile = join(this.directory, 'initdb-password');
    await mkdir(dataDirectory, { mode: 0o700 });
    await writeFile(passwordFile, password, { mode: 0o600 });
    if (osUser.kind === 'other') {
      await Promise.all([dataDirectory, passwordFile].map((path) => chown(path, osUser.uid, osUser.gid)));
    }
    const checksums = this.options.dataChecksums === 'on' ? ['--data-checksums'] : [];
    const authentication = ['--auth-local=trust', '--auth-host=scram-sha-256', `--pwfile=${passwordFile}`];
    const fixed = ['-D', dataDirectory, '-U', SUPERUSER, '-E', 'UTF8', '--locale=C', '--no-sync'];
    const args = [...fixed, ...authentication, ...checksums, ...(this.options.initdbArgs ?? [])];
    try {
      await promisify(execFile)(join(this.options.installation.bindir, 'initdb'), args, {
        ...spawnAs(osUser),
        cwd: dataDirectory,
        // By that it is found when this program is killed meanwhile.
        env: { ...ENVIRONMENT, PGDATA: dataDirectory },
        timeout: INITDB_TIMEOUT_MS,
        signal: this.options.signal,
      });
    } catch (error) {
      throw asScratchError('cannot be made, initdb failed', error);
    } finally {
      await rm(passwordFile, { force: true });
    }
    if (this.options.parametersIn !== 'arguments') {
      await appendFile(join(dataDirectory, 'postgresql.conf'), formatParameters(this.#parameters()));
    }
  }

  #parameters(): Parameters {
    return { timezone: 'UTC', log_timezone: 'UTC', ...this.options.parameters };
  }

  /**
   * What a Postgres that was killed left. Postgres does not start beside a process of it, nor when the id in its file is
   * another process' by now.
   */
  async #clearKilled(): Promise<void> {
    await endProcesses(this.dataDirectory, this.osUser);
    await rm(join(this.dataDirectory, 'postmaster.pid'), { force: true });
  }

  async #startOnce(): Promise<void> {
    const { dataDirectory, socketDirectory, logFile } = this;
    await rm(socketDirectory, { recursive: true, force: true });
    await makeSocketDirectory(socketDirectory, this.osUser);
    const process = await PostgresProcess.spawn({
      program: '/bin/sh',
      args: ['-c', GUARD, 'sh', join(this.options.installation.bindir, 'postgres'), ...this.#arguments()],
      workingDirectory: dataDirectory,
      environment: ENVIRONMENT,
      osUser: this.osUser,
      logFile,
      standardInput: 'pipe',
    });
    this.#process = process;
    const timeoutMs = this.options.startTimeoutMs ?? START_TIMEOUT_MS;
    await awaitReady({
      process,
      dataDirectory,
      socketDirectory,
      port: this.#port,
      connectAs: [{ user: SUPERUSER, database: SUPERUSER }],
      logFile,
      signal: AbortSignal.timeout(timeoutMs),
    });
  }

  #arguments(): string[] {
    const address = this.options.listen === 'loopback' ? LOOPBACK : '';
    return [
      '-D',
      this.dataDirectory,
      ...parameterArguments({
        ...(this.options.parametersIn === 'arguments' ? this.#parameters() : {}),
        listen_addresses: address,
        port: String(this.#port),
        unix_socket_directories: quoteListElement(this.socketDirectory),
      }),
    ];
  }

  /** Past the deadline all of its processes are killed. */
  async #awaitExit(guard: PostgresProcess): Promise<void> {
    const timeoutMs = this.options.stopTimeoutMs ?? STOP_TIMEOUT_MS;
    const timer = setTimeout(() => {
      endProcesses(this.dataDirectory, this.osUser).catch(() => guard.closeInput());
    }, timeoutMs);
    await guard.exited;
    clearTimeout(timer);
  }
}

function asScratchError(what: string, error: unknown) {
  const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
  const words = said !== '' ? said : error instanceof Error ? error.message : String(error);
  return computeError('scratch_postgres_failed', `the scratch Postgres ${what}: ${words}`, { cause: error });
}
