import { importError } from './import-errors.js';
import type { ReplicationConnection, ResultRow } from './replication-connection.js';

/** What a source says about itself. */
export interface SourceProbe {
  /** Decimal, 64 bits. */
  readonly systemIdentifier: string;
  readonly pgVersionNum: number;
  readonly pgMajor: number;
  readonly walSegmentBytes: number;
  readonly blockBytes: number;
  readonly dataChecksums: 'on' | 'off';
}

const MAJOR = 15;
const BLOCK_BYTES = 8192;
const RELATION_SEGMENT_BYTES = 1024 ** 3;

/** Asks the source what it is, and refuses what cannot be served. */
export async function probeSource(connection: ReplicationConnection): Promise<SourceProbe> {
  const show = async (setting: string) =>
    value(await connection.run(`SHOW ${setting}`, `reading ${setting}`), setting);
  const identity = await connection.run('IDENTIFY_SYSTEM', 'asking for its identity');
  const pgVersionNum = Number(await show('server_version_num'));
  refuseMajor(pgVersionNum);
  const probe: SourceProbe = {
    systemIdentifier: value(identity, 'systemid'),
    pgVersionNum,
    pgMajor: Math.floor(pgVersionNum / 10_000),
    walSegmentBytes: parseBytes(await show('wal_segment_size')),
    blockBytes: parseBytes(await show('block_size')),
    dataChecksums: (await show('data_checksums')) === 'on' ? 'on' : 'off',
  };
  refuseBytes('block size', probe.blockBytes, BLOCK_BYTES);
  refuseBytes('WAL block size', parseBytes(await show('wal_block_size')), BLOCK_BYTES);
  refuseBytes('relation segment size', parseBytes(await show('segment_size')), RELATION_SEGMENT_BYTES);
  refuseWalLevel(await show('wal_level'));
  return probe;
}

/** `16MB`, `8192`, `1GB`: as SHOW writes sizes. Throws `source_unsupported` for anything else. */
export function parseBytes(text: string): number {
  const match = /^(\d+)\s*(B|kB|MB|GB|TB)?$/.exec(text);
  if (match === null) {
    throw importError('source_unsupported', `the source reports a size that cannot be read: ${text}`);
  }
  const power = ['B', 'kB', 'MB', 'GB', 'TB'].indexOf(match[2] ?? 'B');
  return Number(match[1]) * 1024 ** power;
}

function refuseMajor(versionNum: number): void {
  const major = Math.floor(versionNum / 10_000);
  if (major !== MAJOR) {
    throw importError(
      'source_unsupported',
      `the source runs Postgres ${major}; only Postgres ${MAJOR} can be imported: upgrade it, or take another`,
      { details: { server_version_num: versionNum } },
    );
  }
}

function refuseBytes(what: string, bytes: number, served: number): void {
  if (bytes !== served) {
    throw importError(
      'source_unsupported',
      `the source was built with a ${what} of ${bytes} bytes; only ${served} can be served`,
    );
  }
}

function refuseWalLevel(level: string): void {
  if (level === 'minimal') {
    throw importError(
      'source_settings',
      'the source has wal_level = minimal, which logs too little: set it to replica or logical and restart',
    );
  }
}

function value(results: readonly ResultRow[][], column: string): string {
  const found = results[0]?.[0]?.[column];
  if (typeof found !== 'string') {
    throw importError('source_failed', `the source did not say its ${column}`);
  }
  return found;
}
