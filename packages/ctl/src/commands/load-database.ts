import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ApiError,
  type DumpBody,
  type DumpChoice,
  type Load,
  type NewDatabase,
  type OffshootClient,
  type UpdateBranchRequest,
} from '@offshoot/client';
import type { Context } from '../context.js';
import { type DumpSource, openDump } from '../dump-source.js';
import { prettyBytes } from '../table.js';

const pollMs = 200;

/** Sends a dump and waits until it is loaded; an interrupt gives it up, and nothing of it is left. */
export async function loadDatabase(
  context: Context,
  dump: string,
  choice: DumpChoice,
  settings: UpdateBranchRequest,
): Promise<NewDatabase> {
  const source = await openDump(dump, context.interrupted);
  // After the answer an interrupt cancels the load, and not the way to say so.
  const client = context.steadyClient();
  const body = Readable.toWeb(Readable.from(told(context, source))) as DumpBody;
  try {
    const made = await client.createDatabaseFromDump(body, { ...choice, signal: context.interrupted });
    const { operation, ...whole } = made;
    const load = operation === undefined ? made.load : await watch(context, client, operation);
    // Sizes and quotas are not for a dump to meet.
    const branch =
      Object.keys(settings).length === 0
        ? await client.branch(made.name)
        : await client.updateBranch(made.name, settings);
    return { ...whole, branch, ...(load === undefined ? {} : { load }) };
  } finally {
    context.progress('');
  }
}

async function* told(context: Context, { bytes, size }: DumpSource): AsyncGenerator<Uint8Array> {
  let sent = 0;
  const of = size === undefined ? '' : ` of ${prettyBytes(size)}`;
  for await (const piece of bytes) {
    yield piece;
    sent += piece.length;
    context.progress(`sent ${prettyBytes(sent)}${of}`);
  }
  context.progress(`sent ${prettyBytes(sent)}; loading`);
}

async function watch(context: Context, client: OffshootClient, id: string): Promise<Load | undefined> {
  let operation = await client.operation(id);
  while (operation.state === 'running') {
    if (context.interrupted.aborted) {
      operation = await client.cancelOperation(id);
      continue;
    }
    await sleep(pollMs, undefined, { signal: context.interrupted }).catch(() => undefined);
    operation = await client.operation(id);
    if (operation.load !== undefined) context.progress(loadText(operation.load));
  }
  if (operation.error !== undefined) throw new ApiError(operation.error);
  return operation.load;
}

/** One line for people. */
export function loadText({ statements, rows, bytes }: Load): string {
  return `loading: ${statements} statements, ${rows} rows copied, ${prettyBytes(bytes)} of SQL`;
}
