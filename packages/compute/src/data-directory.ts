import {
  chownSync,
  closeSync,
  fchownSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { OffshootError } from '@offshoot/types';
import { extract, type Headers } from 'tar-stream';
import { isLeftOut, parseArchiveEntry } from './archive-entry.js';
import type { ComputeAccess } from './compute-driver.js';
import { computeError } from './compute-errors.js';
import { COMPUTE_HBA, formatParameters, type Parameters } from './configuration.js';
import { CONTROL_FILE_BYTES, type ControlFile, parseControlFile } from './control-file.js';
import type { OsUser } from './os-user.js';
import { SPARE_FILES_DIRECTORY } from './spare-files.js';

export interface DataDirectoryLimits {
  /** All files of a base backup together, in bytes: it holds no relations, but all of pg_xact. */
  readonly archiveBytesMax: number;
  readonly archiveEntriesMax: number;
}

/** A file up to this size is written at once, without a trip through the thread pool: most are a page or less. */
const SMALL_FILE_BYTES = 64 * 1024;

/** The preload library's state, inside the data directory. */
export const stateDirectories = ['offshoot', 'offshoot/map', 'offshoot/gone', 'offshoot/tmp'] as const;

/** What is in a data directory before it is filled. */
export interface MadeAhead {
  /** Directories, relative to it; `.` is itself. */
  readonly made: Iterable<string>;
  /** Empty files of the owner's, in `SPARE_FILES_DIRECTORY`. */
  readonly files: number;
}

/** One compute's data directory while it is being made; nothing is flushed to disk, it does not outlive its compute. */
export class DataDirectory {
  #bytes = 0;
  #entries = 0;
  #control: Buffer | undefined;
  readonly #walSegments: string[] = [];
  /** Relative paths; `.` is the data directory. */
  readonly #made: Set<string>;
  #spareFiles: number;

  private constructor(
    readonly path: string,
    private readonly owner: OsUser,
    private readonly limits: DataDirectoryLimits,
    ahead: MadeAhead,
  ) {
    this.#made = new Set(ahead.made);
    this.#spareFiles = ahead.files;
  }

  /** Makes the directory itself, empty, with mode 0700, unless that was made ahead. */
  static create(
    path: string,
    owner: OsUser,
    limits: DataDirectoryLimits,
    ahead: MadeAhead = { made: [], files: 0 },
  ): DataDirectory {
    const directory = new DataDirectory(path, owner, limits, ahead);
    directory.#mkdir('.');
    return directory;
  }

  /** Unpacks a base backup. Throws `base_backup_invalid`, and what `archive` throws. */
  async unpack(archive: AsyncIterable<Buffer>): Promise<void> {
    const first = new FirstCause();
    const entries = extract();
    const feeding = pipeline(first.of(archive), entries);
    const unpacking = (async () => {
      for await (const entry of entries) {
        await first.in(() => this.#unpackEntry(entry.header, entry));
      }
    })();
    const ends = await Promise.allSettled([unpacking, feeding]);
    // When one side fails the other is torn down and fails too: what came first is the reason.
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed !== undefined) {
      throw first.cause ?? invalidArchive(failed.reason);
    }
  }

  /** What pg_control of the unpacked base backup says. Throws `base_backup_invalid`. */
  controlFile(): ControlFile {
    if (this.#control === undefined) {
      throw computeError('base_backup_invalid', 'the base backup holds no global/pg_control');
    }
    return parseControlFile(this.#control);
  }

  /** Gives the WAL segment its size, says whether it is a standby's, makes the preload library's directories, and writes the configuration. */
  complete(control: ControlFile, parameters: Parameters, access: ComputeAccess = 'read_write'): void {
    if (this.#walSegments.length !== 1) {
      throw computeError(
        'base_backup_invalid',
        `the base backup holds ${this.#walSegments.length} WAL segments`,
      );
    }
    for (const segment of this.#walSegments) {
      extend(join(this.path, segment), control.walSegmentBytes);
    }
    for (const directory of stateDirectories) {
      this.#mkdir(directory);
    }
    this.#write('postgresql.conf', formatParameters(parameters));
    this.#write('postgresql.auto.conf', '');
    this.#write('pg_hba.conf', COMPUTE_HBA);
    this.#write('pg_ident.conf', '');
    if (access === 'read_only') {
      this.#write('standby.signal', '');
    }
  }

  /** Files made ahead that it has not taken, from number 0 on. */
  get spareFiles(): number {
    return this.#spareFiles;
  }

  /** Keeps the page service's token where the preload library reads it; answers the file's path. */
  writeToken(token: string): string {
    const path = 'offshoot/token';
    this.#write(path, token);
    return join(this.path, path);
  }

  async #unpackEntry(header: Headers, body: AsyncIterable<Buffer> & { resume(): void }): Promise<void> {
    const entry = parseArchiveEntry(header);
    this.#entries += 1;
    this.#bytes += entry.size;
    if (this.#entries > this.limits.archiveEntriesMax || this.#bytes > this.limits.archiveBytesMax) {
      throw computeError('base_backup_invalid', 'the base backup is larger than a compute takes', {
        details: { bytes: this.#bytes, entries: this.#entries, ...this.limits },
      });
    }
    if (entry.kind === 'directory' || isLeftOut(entry.path)) {
      body.resume();
      if (entry.kind === 'directory' && !isLeftOut(entry.path)) {
        this.#mkdir(entry.path);
      }
      return;
    }
    if (/^pg_wal\/[0-9A-F]{24}$/.test(entry.path)) {
      this.#walSegments.push(entry.path);
    }
    await (entry.size <= SMALL_FILE_BYTES
      ? this.#unpackSmall(entry.path, body)
      : this.#unpackLarge(entry.path, body));
  }

  async #unpackSmall(path: string, body: AsyncIterable<Buffer>): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of body) {
      chunks.push(chunk);
    }
    const bytes = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
    if (path === 'global/pg_control') {
      this.#control = Buffer.from(bytes.subarray(0, CONTROL_FILE_BYTES + 1));
    }
    this.#write(path, bytes);
  }

  async #unpackLarge(path: string, body: AsyncIterable<Buffer>): Promise<void> {
    this.#mkdir(dirname(path));
    const file = await open(join(this.path, path), 'w', 0o600);
    try {
      if (this.owner.kind === 'other') {
        await file.chown(this.owner.uid, this.owner.gid);
      }
      for await (const chunk of body) {
        await file.writeFile(chunk);
      }
    } finally {
      await file.close();
    }
  }

  /** Makes a directory and those above it, up to the data directory. */
  #mkdir(path: string): void {
    if (this.#made.has(path)) {
      return;
    }
    if (path !== '.') {
      this.#mkdir(dirname(path));
    }
    const absolute = join(this.path, path);
    mkdirSync(absolute, { mode: 0o700 });
    if (this.owner.kind === 'other') {
      chownSync(absolute, this.owner.uid, this.owner.gid);
    }
    this.#made.add(path);
  }

  #write(path: string, bytes: Uint8Array | string): void {
    this.#mkdir(dirname(path));
    const file = this.#create(join(this.path, path));
    try {
      const data = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
      for (let written = 0; written < data.length; ) {
        written += writeSync(file, data, written);
      }
    } finally {
      closeSync(file);
    }
  }

  /** Empty, and the owner's. */
  #create(path: string): number {
    if (this.#spareFiles > 0) {
      // From the end: the preload library takes them from the start.
      this.#spareFiles -= 1;
      renameSync(join(this.path, SPARE_FILES_DIRECTORY, String(this.#spareFiles)), path);
      return openSync(path, 'r+');
    }
    const file = openSync(path, 'w', 0o600);
    if (this.owner.kind === 'other') {
      fchownSync(file, this.owner.uid, this.owner.gid);
    }
    return file;
  }
}

/** Sparsely: the page that has bytes is at its start. */
function extend(path: string, size: number): void {
  const file = openSync(path, 'r+');
  try {
    ftruncateSync(file, size);
  } finally {
    closeSync(file);
  }
}

/** Remembers which of two sides failed first. */
class FirstCause {
  cause: unknown;

  async *of(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    try {
      yield* source;
    } catch (error) {
      this.cause ??= error;
      throw error;
    }
  }

  /** Reading an entry may fail because of the archive too: only our errors and the file system's are causes. */
  async in(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (error instanceof OffshootError || (error instanceof Error && 'syscall' in error)) {
        this.cause ??= error;
      }
      throw error;
    }
  }
}

function invalidArchive(cause: unknown) {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return computeError('base_backup_invalid', `the base backup is no tar archive: ${reason}`, { cause });
}
