import { chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ComputePaths, type ComputePlaces, computePaths } from './compute-paths.js';
import { stateDirectories } from './data-directory.js';
import { PORT_MAX } from './free-ports.js';
import type { OsUser } from './os-user.js';
import { removeLeftovers } from './remove-leftovers.js';
import { chooseSocketDirectory, makeSocketDirectory, temporaryDirectories } from './socket-directory.js';
import { makeSpareFiles, type Pace, SPARE_FILES_DIRECTORY } from './spare-files.js';

/** What every base backup has; one that has more gets the rest made when it is unpacked. */
const postgresDirectories: readonly string[] = [
  'base',
  'global',
  'pg_commit_ts',
  'pg_dynshmem',
  'pg_logical',
  'pg_logical/mappings',
  'pg_logical/snapshots',
  'pg_multixact',
  'pg_multixact/members',
  'pg_multixact/offsets',
  'pg_notify',
  'pg_replslot',
  'pg_serial',
  'pg_snapshots',
  'pg_stat',
  'pg_stat_tmp',
  'pg_subtrans',
  'pg_tblspc',
  'pg_twophase',
  'pg_wal',
  'pg_wal/archive_status',
  'pg_xact',
];

/** The directories of a compute that is not there yet. */
export interface SpareDirectory {
  readonly id: string;
  /** In the data directory, relative to it; `.` is itself. */
  readonly made: ReadonlySet<string>;
  /** Empty ones, for relations that come from the page server. */
  readonly files: number;
}

export interface SpareDirectoriesOptions {
  readonly places: ComputePlaces;
  readonly owner: OsUser;
  readonly newId: () => string;
  /** How many are kept. */
  readonly sparesMax: number;
  /** Empty files in each. */
  readonly files: number;
}

/**
 * Directories that are made before there is a compute for them, at a moment when nobody waits for that. What a daemon
 * leaves of them is swept away with what it leaves of computes.
 */
export class SpareDirectories {
  readonly #spares: SpareDirectory[] = [];
  readonly #ids = new Set<string>();
  #making: Promise<void> = Promise.resolve();
  #state: 'open' | 'making' | 'closed' = 'open';

  constructor(private readonly options: SpareDirectoriesOptions) {}

  /** Undefined when there is none just now. */
  take(): SpareDirectory | undefined {
    const spare = this.#spares.shift();
    if (spare !== undefined) this.#ids.delete(spare.id);
    return spare;
  }

  /** True for one that is ready or being made. */
  has(id: string): boolean {
    return this.#ids.has(id);
  }

  /** Makes what is missing, one after the other; nobody needs to wait for that. */
  refill(pace: Pace = 'brisk'): Promise<void> {
    if (this.#state === 'open') {
      this.#state = 'making';
      this.#making = this.#makeAll(pace).finally(() => {
        if (this.#state === 'making') this.#state = 'open';
      });
    }
    return this.#making;
  }

  /** Removes them. */
  async close(): Promise<void> {
    this.#state = 'closed';
    await this.#making;
    for (let spare = this.take(); spare !== undefined; spare = this.take()) await this.#remove(spare.id);
  }

  async #makeAll(pace: Pace): Promise<void> {
    while (this.#state === 'making' && this.#spares.length < this.options.sparesMax) {
      const id = this.options.newId();
      this.#ids.add(id);
      try {
        this.#spares.push(await this.#make(id, pace));
      } catch {
        // Whatever it is, the next start meets it too, and says so.
        await this.#remove(id).catch(() => undefined);
        this.#ids.delete(id);
        return;
      }
    }
  }

  async #make(id: string, pace: Pace): Promise<SpareDirectory> {
    const { places, owner, files } = this.options;
    const paths = computePaths(places, id);
    await makeComputeDirectories(paths, socketDirectoryOf(places, id, owner), owner);
    const made = new Set<string>();
    for (const path of ['.', ...postgresDirectories, ...stateDirectories, SPARE_FILES_DIRECTORY]) {
      await makeOwned(join(paths.dataDirectory, path), owner);
      made.add(path);
    }
    await makeSpareFiles(join(paths.dataDirectory, SPARE_FILES_DIRECTORY), files, owner, pace);
    return { id, made, files };
  }

  async #remove(id: string): Promise<void> {
    const { places, owner } = this.options;
    const paths = computePaths(places, id);
    await removeLeftovers(paths, id, owner, 'gone');
    await rm(paths.root, { recursive: true, force: true });
  }
}

/** Where a compute's socket is; known from its id alone. */
export function socketDirectoryOf(places: ComputePlaces, id: string, owner: OsUser): string {
  return chooseSocketDirectory(places.run, id, PORT_MAX, temporaryDirectories(owner));
}

/** All but the data directory. */
export async function makeComputeDirectories(
  paths: ComputePaths,
  socketDirectory: string,
  owner: OsUser,
): Promise<void> {
  // Whoever works as the OS user, on another compute say, has no way in before all is made: see `openToOwner`.
  await mkdir(paths.root, { mode: 0o700 });
  await mkdir(paths.logDirectory, { mode: 0o700 });
  // Before the directory itself: what a crash leaves behind must be found.
  await writeFile(paths.socketRecord, `${socketDirectory}\n`);
  await makeSocketDirectory(socketDirectory, owner);
}

async function makeOwned(path: string, owner: OsUser): Promise<void> {
  await mkdir(path, { mode: 0o700 });
  if (owner.kind === 'other') await chown(path, owner.uid, owner.gid);
}
