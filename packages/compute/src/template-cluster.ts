import { readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { endProcesses } from './end-processes.js';
import type { OsUser } from './os-user.js';
import type { PostgresInstallation } from './postgres-installation.js';
import { removeOwned } from './remove-owned.js';
import { ScratchPostgres } from './scratch-postgres.js';
import { removeSocketDirectory } from './socket-directory.js';

/** Where new, empty clusters come from. */
export interface TemplateSource {
  /** Runs `work` with the URL of an empty cluster that nobody else uses, and that is gone afterwards. */
  withCluster<T>(signal: AbortSignal, work: (url: string) => Promise<T>): Promise<T>;
}

export interface TemplateClusterOptions {
  /** Its own; made when it is needed. */
  readonly directory: string;
  readonly installation: PostgresInstallation;
  readonly osUser: OsUser;
}

/**
 * Text is sorted by its bytes, so that no index depends on a machine's libraries; what a letter is, Unicode says. The first
 * that initdb takes: not every machine has a locale C.UTF-8.
 */
const LOCALES = [['--lc-collate=C', '--lc-ctype=C.UTF-8'], []] as const;

/** Makes empty clusters on this machine with initdb, one at a time. */
export class TemplateCluster implements TemplateSource {
  constructor(private readonly options: TemplateClusterOptions) {}

  /** Throws `scratch_postgres_failed`, and what `work` throws. */
  async withCluster<T>(signal: AbortSignal, work: (url: string) => Promise<T>): Promise<T> {
    await this.sweep();
    try {
      const scratch = await this.#create(signal);
      await writeFile(this.#socketRecord, scratch.socketDirectory);
      try {
        signal.throwIfAborted();
        await scratch.start();
        return await work(scratch.url());
      } finally {
        await scratch.stop('immediate');
      }
    } finally {
      await this.sweep();
    }
  }

  /** Ends and removes what a former process, or this one, has left there. */
  async sweep(): Promise<void> {
    const { directory, osUser } = this.options;
    // Processes are found by real paths.
    const real = await realpath(this.#dataDirectory).catch(() => undefined);
    if (real !== undefined) await endProcesses(real, osUser);
    const socketDirectory = (await readFile(this.#socketRecord, 'utf8').catch(() => '')).trimEnd();
    if (SCRATCH_SOCKET.test(basename(socketDirectory))) {
      const id = basename(socketDirectory).replace(/^offshoot-/, '');
      await removeSocketDirectory(socketDirectory, id, osUser);
    }
    await removeOwned(this.#dataDirectory);
    await rm(directory, { recursive: true, force: true });
  }

  async #create(signal: AbortSignal): Promise<ScratchPostgres> {
    const { directory, installation, osUser } = this.options;
    const [first, ...others] = LOCALES;
    const make = (locale: readonly string[]) =>
      ScratchPostgres.create({
        directory,
        installation,
        osUser,
        initdbArgs: locale,
        parameters: PARAMETERS,
        parametersIn: 'arguments',
        signal,
      });
    try {
      return await make(first);
    } catch (error) {
      signal.throwIfAborted();
      for (const locale of others) {
        await this.sweep();
        return await make(locale);
      }
      throw error;
    }
  }

  get #dataDirectory(): string {
    return join(this.options.directory, 'data');
  }

  /** Holds the path of the socket directory, so that a later process finds it. */
  get #socketRecord(): string {
    return join(this.options.directory, 'socket-directory');
  }
}

const SCRATCH_SOCKET = /^(offshoot-)?scratch-[0-9a-f]{8}$/;

/** Nobody waits for its disk: what comes of it is durable elsewhere, or not at all. */
const PARAMETERS = { fsync: 'off', autovacuum: 'off', wal_level: 'replica' } as const;
