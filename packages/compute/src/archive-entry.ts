import { computeError } from './compute-errors.js';

/** One file or directory of a base backup. */
export interface ArchiveEntry {
  readonly kind: 'file' | 'directory';
  /** Relative to the data directory, without `.` and `..`. */
  readonly path: string;
  /** Size of a file in bytes. */
  readonly size: number;
}

/** Longest path inside a data directory that is taken; the longest of Postgres' own are below 100. */
const PATH_BYTES_MAX = 512;

/**
 * Checks one header of the archive. Throws `base_backup_invalid` for a path that leaves the data directory and for
 * links, devices and the like.
 */
export function parseArchiveEntry(header: {
  readonly name: string;
  readonly type?: string | null | undefined;
  readonly size?: number | undefined;
}): ArchiveEntry {
  const path = header.name.replace(/\/+$/, '');
  const inside = path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
  if (!inside || path.includes('\0') || Buffer.byteLength(path) > PATH_BYTES_MAX) {
    throw invalid(`the path ${JSON.stringify(header.name.slice(0, PATH_BYTES_MAX))}`);
  }
  if (header.type !== 'file' && header.type !== 'directory') {
    throw invalid(`a ${header.type ?? 'nameless thing'} at ${path}`);
  }
  const size = header.size ?? 0;
  if (!Number.isSafeInteger(size) || size < 0) {
    throw invalid(`a size of ${size} bytes at ${path}`);
  }
  return { kind: header.type, path, size: header.type === 'file' ? size : 0 };
}

/**
 * True for what a clone must not have: production's replication slots would hold back its WAL and name its
 * consumers, and the rest are files that a stock base backup may hold and a compute's start must not find.
 */
export function isLeftOut(path: string): boolean {
  return path.startsWith('pg_replslot/') || leftOutFiles.has(path);
}

const leftOutFiles: ReadonlySet<string> = new Set([
  'backup_label',
  'tablespace_map',
  'recovery.signal',
  'postmaster.pid',
  'postmaster.opts',
]);

function invalid(what: string) {
  return computeError('base_backup_invalid', `the base backup holds ${what}`);
}
