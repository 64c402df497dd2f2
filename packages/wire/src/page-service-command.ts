import {
  type Lsn,
  OffshootError,
  parseLsn,
  parseTenantId,
  parseTimelineId,
  type TenantId,
  type TimelineId,
} from '@offshoot/types';
import { wireError } from './wire-error.js';

/** The timeline that a command is about. */
export interface TimelineAddress {
  readonly tenant: TenantId;
  readonly timeline: TimelineId;
}

export interface PagestreamCommand extends TimelineAddress {
  readonly name: 'pagestream';
  readonly version: 2 | 3;
}

/** `lsn` undefined means the latest. */
export interface BaseBackupCommand extends TimelineAddress {
  readonly name: 'basebackup';
  readonly lsn: Lsn | undefined;
  readonly compression: 'none' | 'gzip';
  /** What the compute will be. */
  readonly startAs: 'primary' | 'replica';
  /** How much of the fabricated WAL segment the archive holds. */
  readonly wal: 'whole-segment' | 'first-page';
}

/** `lsn` undefined means the latest. */
export interface FullBackupCommand extends TimelineAddress {
  readonly name: 'fullbackup';
  readonly lsn: Lsn | undefined;
  readonly prevLsn: Lsn | undefined;
}

export interface LeaseLsnCommand extends TimelineAddress {
  readonly name: 'lease lsn';
  readonly lsn: Lsn;
}

/** `lsn` undefined means the latest; `spcnode` and `dbnode` are OIDs. */
export interface RelationsCommand extends TimelineAddress {
  readonly name: 'relations';
  readonly lsn: Lsn | undefined;
  readonly spcnode: number;
  readonly dbnode: number;
}

/** Drivers set things on connect; it has no effect. */
export interface SetCommand {
  readonly name: 'set';
}

export type PageServiceCommand =
  | PagestreamCommand
  | BaseBackupCommand
  | FullBackupCommand
  | LeaseLsnCommand
  | RelationsCommand
  | SetCommand;

/** Reads a command's text. Throws `bad_command`. */
export function parsePageServiceCommand(text: string): PageServiceCommand {
  const words = text.trim().split(/\s+/);
  const word = (words[0] ?? '').toLowerCase();
  const parse = Object.hasOwn(PARSERS, word) ? PARSERS[word] : undefined;
  if (parse === undefined) {
    throw wireError('bad_command', `unknown command ${JSON.stringify(shortened(word))}`);
  }
  try {
    return parse(words.slice(1));
  } catch (error) {
    if (error instanceof OffshootError && error.code === 'invalid_argument') {
      throw wireError('bad_command', `${word}: ${shortened(error.message)}`, { cause: error });
    }
    throw error;
  }
}

const PARSERS: Readonly<Record<string, (args: string[]) => PageServiceCommand>> = {
  pagestream_v2: (args) => parsePagestream(args, 2),
  pagestream_v3: (args) => parsePagestream(args, 3),
  basebackup: parseBaseBackup,
  fullbackup: parseFullBackup,
  lease: parseLease,
  relations: parseRelations,
  set: () => ({ name: 'set' }),
};

function parsePagestream(args: string[], version: 2 | 3): PagestreamCommand {
  requireCount(args, 2, 2, `pagestream_v${version} TENANT TIMELINE`);
  return { name: 'pagestream', version, ...address(args) };
}

function parseBaseBackup(args: string[]): BaseBackupCommand {
  const flags = new Set<string>();
  const plain = args.filter((arg) => {
    const isFlag = arg.startsWith('--');
    if (isFlag && flags.has(arg)) {
      throw wireError('bad_command', `basebackup: ${arg} is there twice`);
    }
    if (isFlag) {
      flags.add(arg);
    }
    return !isFlag;
  });
  const usage = 'basebackup TENANT TIMELINE [LSN|latest] [--gzip] [--replica] [--first-page]';
  requireCount(plain, 2, 3, usage);
  const command: BaseBackupCommand = {
    name: 'basebackup',
    ...address(plain),
    lsn: lsnOrLatest(plain[2]),
    compression: flags.delete('--gzip') ? 'gzip' : 'none',
    startAs: flags.delete('--replica') ? 'replica' : 'primary',
    wal: flags.delete('--first-page') ? 'first-page' : 'whole-segment',
  };
  for (const unknown of flags) {
    throw wireError('bad_command', `unknown flag ${JSON.stringify(shortened(unknown))}; usage: ${usage}`);
  }
  return command;
}

function parseFullBackup(args: string[]): FullBackupCommand {
  requireCount(args, 2, 4, 'fullbackup TENANT TIMELINE [LSN [PREV_LSN]]');
  const lsn = lsnOrLatest(args[2]);
  const prevLsn = args[3] === undefined ? undefined : parseLsn(args[3]);
  if (lsn !== undefined && prevLsn !== undefined && prevLsn > lsn) {
    throw wireError('bad_command', 'fullbackup: PREV_LSN lies behind LSN');
  }
  return { name: 'fullbackup', ...address(args), lsn, prevLsn };
}

function parseLease([what, ...args]: string[]): LeaseLsnCommand {
  const usage = 'lease lsn TENANT TIMELINE LSN';
  if (what?.toLowerCase() !== 'lsn') {
    throw wireError('bad_command', `usage: ${usage}`);
  }
  requireCount(args, 3, 3, usage);
  return {
    name: 'lease lsn',
    // A shard's id is the tenant's, with a suffix of shard number and count.
    ...address([argument(args, 0).replace(/-[0-9a-f]{4}$/i, ''), argument(args, 1)]),
    lsn: parseLsn(argument(args, 2)),
  };
}

function parseRelations(args: string[]): RelationsCommand {
  requireCount(args, 5, 5, 'relations TENANT TIMELINE LSN|latest SPCNODE DBNODE');
  return {
    name: 'relations',
    ...address(args),
    lsn: lsnOrLatest(args[2]),
    spcnode: oid(argument(args, 3)),
    dbnode: oid(argument(args, 4)),
  };
}

function address(args: string[]): TimelineAddress {
  return { tenant: parseTenantId(argument(args, 0)), timeline: parseTimelineId(argument(args, 1)) };
}

function lsnOrLatest(text: string | undefined): Lsn | undefined {
  return text === undefined || text.toLowerCase() === 'latest' ? undefined : parseLsn(text);
}

function oid(text: string): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= 0xffff_ffff)) {
    throw wireError('bad_command', `${JSON.stringify(shortened(text))} is no OID`);
  }
  return value;
}

function requireCount(args: string[], min: number, max: number, usage: string): void {
  if (args.length < min || args.length > max) {
    throw wireError('bad_command', `wrong number of arguments; usage: ${usage}`);
  }
}

function argument(args: string[], index: number): string {
  return args[index] ?? '';
}

const SHOWN_CHARACTERS_MAX = 200;

/** A client's own text goes back to it, but not kilobytes of it. */
function shortened(text: string): string {
  return text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}…` : text;
}
