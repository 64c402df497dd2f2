import { randomBytes } from 'node:crypto';
import { join } from 'node:path';

/** Where the computes of one data directory live. */
export interface ComputePlaces {
  readonly computes: string;
  /** Socket directories, when their paths are short enough. */
  readonly run: string;
  /** Copies of programs that the OS user could not reach. */
  readonly cache: string;
}

/** Where one compute lives. */
export interface ComputePaths {
  readonly root: string;
  readonly dataDirectory: string;
  readonly logDirectory: string;
  readonly logFile: string;
  /** Holds the path of the socket directory, so that a later daemon finds it. */
  readonly socketRecord: string;
}

export function computePlaces(data: string): ComputePlaces {
  return { computes: join(data, 'computes'), run: join(data, 'run'), cache: join(data, 'cache') };
}

export function computePaths(places: ComputePlaces, id: string): ComputePaths {
  const root = join(places.computes, id);
  const logDirectory = join(root, 'log');
  return {
    root,
    dataDirectory: join(root, 'pgdata'),
    logDirectory,
    logFile: join(logDirectory, 'postgres.log'),
    socketRecord: join(root, 'socket-directory'),
  };
}

/** `c` and twelve hexadecimal digits. */
export function randomComputeId(): string {
  return `c${randomBytes(6).toString('hex')}`;
}

/** True for names that `randomComputeId` makes: only such directories are ever removed. */
export function isComputeId(name: string): boolean {
  return /^c[0-9a-f]{12}$/.test(name);
}
