import type { BaseBackupOptions } from '@offshoot/engine';
import type { Lsn } from '@offshoot/types';
import {
  BackendMessage,
  type BaseBackupCommand,
  commandComplete,
  copyDataHeader,
  dataRow,
  type FullBackupCommand,
  type LeaseLsnCommand,
  type RelationsCommand,
  rowDescription,
} from '@offshoot/wire';
import { gzipFast } from './gzip-fast.js';
import { type LeaseBook, normalizedLsn } from './lease-book.js';
import type { PageServiceSettings } from './page-service-settings.js';
import type { PageSource, TimelinePages } from './page-source.js';
import type { RunnableCommand } from './session-effect.js';
import { waitForLsn } from './wait-for-lsn.js';

export interface RunCommandContext {
  readonly source: PageSource;
  readonly leases: LeaseBook;
  readonly settings: PageServiceSettings;
  /** Aborts when the connection ends or the service stops. */
  readonly signal: AbortSignal;
  /** Sends at once. */
  readonly write: (...parts: Uint8Array[]) => void;
  /** Resolves when the client has taken enough for more to be sent, or is gone. */
  readonly room: () => Promise<void>;
}

const COMPLETE = commandComplete('SELECT 1');

/** Carries out a command and sends its result up to CommandComplete. Rejects with what the client is to be told. */
export async function runCommand(command: RunnableCommand, context: RunCommandContext): Promise<void> {
  const pages = await context.source.timeline(command.tenant, command.timeline);
  switch (command.name) {
    case 'basebackup':
    case 'fullbackup':
      return runBackup(command, pages, context);
    case 'lease lsn':
      return runLease(command, pages, context);
    case 'relations':
      return runRelations(command, pages, context);
  }
}

async function runBackup(
  command: BaseBackupCommand | FullBackupCommand,
  pages: TimelinePages,
  context: RunCommandContext,
): Promise<void> {
  await waitIfAsked(command.lsn, pages, context);
  const tar = await pages.baseBackup(backupOptions(command));
  const gzip = command.name === 'basebackup' && command.compression === 'gzip';
  await sendCopy(gzip ? gzipFast(tar) : tar, context);
}

/** A full backup's PREV_LSN would only fill a field of the fabricated record that nothing reads. */
function backupOptions(command: BaseBackupCommand | FullBackupCommand): BaseBackupOptions {
  const { lsn } = command;
  return command.name === 'basebackup'
    ? { lsn, kind: 'base', wal: command.wal, startAs: command.startAs }
    : { lsn, kind: 'full', wal: 'whole-segment', startAs: 'primary' };
}

/** The end of the lease in Unix milliseconds; NULL when that LSN can no longer be read. */
async function runLease(
  command: LeaseLsnCommand,
  pages: TimelinePages,
  context: RunCommandContext,
): Promise<void> {
  const { tenant, timeline } = command;
  const lsn = normalizedLsn(command.lsn, pages.walSegmentBytes);
  // Without a pause in between: what is granted is kept from this moment on.
  const kept = [lsn, command.lsn].filter((each) => pages.covers(each));
  const end = kept.length > 0 ? String(await context.leases.grant(tenant, timeline, lsn, kept)) : null;
  context.write(rowDescription(['valid_until']), dataRow([end]), COMPLETE);
}

async function runRelations(
  command: RelationsCommand,
  pages: TimelinePages,
  context: RunCommandContext,
): Promise<void> {
  await waitIfAsked(command.lsn, pages, context);
  const lsn = command.lsn ?? pages.lastRecordLsn();
  const listing = await pages.relations(command.spcnode, command.dbnode, lsn);
  await sendCopy(pieces(listing, context.settings.copyDataBytesMax), context);
}

async function waitIfAsked(
  lsn: Lsn | undefined,
  pages: TimelinePages,
  { settings, signal }: RunCommandContext,
): Promise<void> {
  if (lsn !== undefined) {
    await waitForLsn(pages, lsn, settings.lsnWaitTimeoutMs, signal);
  }
}

/** Sends a COPY no faster than the client takes it. */
async function sendCopy(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { write, room, signal }: RunCommandContext,
): Promise<void> {
  write(BackendMessage.copyOutResponse);
  for await (const chunk of chunks) {
    await room();
    signal.throwIfAborted();
    write(copyDataHeader(chunk.length), chunk);
  }
  write(BackendMessage.copyDone, COMPLETE);
}

function* pieces(bytes: Uint8Array, bytesMax: number): Iterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += bytesMax) {
    yield bytes.subarray(at, at + bytesMax);
  }
}
