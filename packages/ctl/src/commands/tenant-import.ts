import { setTimeout as sleep } from 'node:timers/promises';
import {
  ApiError,
  ConnectionError,
  type ImportProgress,
  type OffshootClient,
  type Operation,
} from '@offshoot/client';
import { type Context, show } from '../context.js';
import { prettyBytes } from '../table.js';
import { warningOfUnsupported } from './unsupported-records.js';

const pollMs = 200;

const phases: Record<ImportProgress['phase'], string> = {
  connect: 'connecting',
  base_backup: 'copying pages',
  wal: 'reading WAL',
  finish: 'making it durable',
  done: 'done',
};

/** Starts an import and watches it to its end; an interrupt cancels it and waits until nothing of it is left. */
export async function importTenant(context: Context, name: string, sourceUrl: string): Promise<void> {
  // An interrupt ends the import, not the way to say so.
  const client = context.steadyClient();
  const started = await client.importTenant({ name, source_url: sourceUrl });
  const ended = await watch(context, client, started);
  if (ended.state === 'done') {
    const tenant = await client.tenant(name);
    show(context, { tenant, operation: ended }, () => imported(ended, name));
    const warning = warningOfUnsupported(tenant);
    if (warning !== undefined) context.remark(warning);
    return;
  }
  if (ended.error !== undefined) throw new ApiError(ended.error);
  throw new Error(`the import of ${name} was cancelled; nothing of it is left`);
}

async function watch(context: Context, client: OffshootClient, started: Operation): Promise<Operation> {
  let operation = started;
  let cancelling = false;
  try {
    while (operation.state === 'running') {
      if (context.interrupted.aborted && !cancelling) {
        cancelling = true;
        context.progress('');
        context.remark('cancelling the import …');
        operation = await client.cancelOperation(operation.id);
      } else {
        await pause(context.interrupted);
        operation = await client.operation(operation.id);
      }
      if (operation.progress !== undefined) context.progress(progressText(operation.progress));
    }
  } catch (error) {
    if (error instanceof ConnectionError)
      context.remark(`whether the import goes on is unknown; it is operation ${operation.id}`);
    throw error;
  } finally {
    context.progress('');
  }
  return operation;
}

/** Until the next look, or the interrupt. */
async function pause(interrupted: AbortSignal): Promise<void> {
  const signal = interrupted.aborted ? {} : { signal: interrupted };
  await sleep(pollMs, undefined, signal).catch(() => undefined);
}

/** One line for people. */
export function progressText(progress: ImportProgress): string {
  const { bytes_done: done, bytes_total: total } = progress;
  const share = total
    ? ` of ${prettyBytes(total)} (${Math.min(100, Math.floor((100 * done) / total))} %)`
    : '';
  const wal = progress.wal_lsn === undefined ? '' : `, WAL at ${progress.wal_lsn}`;
  return `${phases[progress.phase]}: ${prettyBytes(done)}${share}${wal}`;
}

function imported(operation: Operation, name: string): string {
  const seconds = (Date.parse(operation.finished_at ?? '') - Date.parse(operation.started_at)) / 1000;
  const size = prettyBytes(operation.progress?.bytes_done ?? 0);
  return (
    `imported ${name}: ${size} in ${seconds.toFixed(1)} s\n` +
    `branch it with: pageserver-ctl branch create NAME --from ${name}`
  );
}
