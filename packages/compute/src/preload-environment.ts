import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { formatLsn } from '@offshoot/types';
import { formatPageServiceAddress, type PageServiceAddress } from './base-backup.js';
import type { ComputeSpec } from './compute-driver.js';
import type { ComputeSettings } from './compute-settings.js';

export interface PreloadOptions {
  readonly library: string;
  readonly pageService: PageServiceAddress;
  /** Holds the page service's token; readable by the OS user. */
  readonly tokenFile?: string | undefined;
  /** Postgres ends when this process, which must be its parent, ends. */
  readonly parentPid: number;
  /** Empty files that were made ahead. */
  readonly spareFiles: number;
  readonly dataDirectory: string;
  /** What Postgres is to refuse. */
  readonly limitsFile: string;
  readonly statementsFile: string;
  /** Memory that each process may have for itself. */
  readonly dataBytesMax: number;
}

/** The whole environment of a compute: nothing of this program's own reaches it. */
export function preloadEnvironment(
  spec: ComputeSpec,
  settings: ComputeSettings,
  options: PreloadOptions,
): Record<string, string> {
  return {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    LC_ALL: 'C',
    // Not for Postgres, which is given it as an argument: what Postgres starts is known by it.
    PGDATA: options.dataDirectory,
    LD_PRELOAD: options.library,
    OFFSHOOT_PAGESERVER: formatPageServiceAddress(options.pageService),
    OFFSHOOT_TENANT: spec.tenantId,
    OFFSHOOT_TIMELINE: spec.timelineId,
    OFFSHOOT_LSN: formatLsn(spec.baseLsn),
    OFFSHOOT_READ_ONLY: spec.access === 'read_only' ? '1' : '0',
    OFFSHOOT_PARENT_PID: String(options.parentPid),
    OFFSHOOT_LIMITS_FILE: options.limitsFile,
    OFFSHOOT_STATEMENTS_FILE: options.statementsFile,
    OFFSHOOT_DATA_BYTES_MAX: String(options.dataBytesMax),
    OFFSHOOT_RETRY_MS: String(settings.pageRetryMs),
    OFFSHOOT_READAHEAD_PAGES: String(settings.readAheadPages),
    OFFSHOOT_SPARE_FILES: String(options.spareFiles),
    ...(options.tokenFile === undefined ? {} : { OFFSHOOT_TOKEN_FILE: options.tokenFile }),
  };
}

/**
 * A name of the library that LD_PRELOAD can hold: the dynamic linker splits it at spaces and colons and knows no
 * quotes. A path with one is reached by a link, relative to the data directory, where all of Postgres works.
 */
export function preloadableName(library: string, dataDirectory: string): string {
  if (!/[\s:$]/.test(library)) {
    return library;
  }
  const name = 'offshoot/preload.so';
  symlinkSync(library, join(dataDirectory, name));
  return `./${name}`;
}
