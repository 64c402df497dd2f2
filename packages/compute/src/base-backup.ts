import { connect as connectSocket, type Socket } from 'node:net';
import type { Lsn, TenantId, TimelineId } from '@offshoot/types';
import { formatLsn } from '@offshoot/types';
import { BaseBackupSession } from './base-backup-session.js';
import { computeError } from './compute-errors.js';

/** Where the page service listens. */
export type PageServiceAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

export interface BaseBackupOf {
  readonly tenantId: TenantId;
  readonly timelineId: TimelineId;
  readonly lsn: Lsn;
}

export interface BaseBackupOptions {
  readonly password?: string | undefined;
  /** Longest silence of the page service, in milliseconds. */
  readonly silenceMs: number;
  /** Longest message that is taken, in bytes. */
  readonly messageBytesMax: number;
  readonly signal?: AbortSignal | undefined;
}

/** As the preload library takes it in OFFSHOOT_PAGESERVER. */
export function formatPageServiceAddress(address: PageServiceAddress): string {
  return address.kind === 'unix' ? `unix:${address.path}` : `tcp:${address.host}:${address.port}`;
}

/**
 * The archive (tar) of a data directory at an LSN, as it arrives; the connection is read no faster than the archive
 * is used. Throws `base_backup_refused`, `base_backup_interrupted`, `base_backup_invalid`.
 */
export async function* fetchBaseBackup(
  address: PageServiceAddress,
  of: BaseBackupOf,
  options: BaseBackupOptions,
): AsyncGenerator<Buffer> {
  const session = new BaseBackupSession({
    command: `basebackup ${of.tenantId} ${of.timelineId} ${formatLsn(of.lsn)} --first-page`,
    password: options.password,
    messageBytesMax: options.messageBytesMax,
  });
  const socket = open(address, options);
  try {
    socket.write(session.start());
    for await (const chunk of socket) {
      for (const effect of session.feed(chunk as Buffer)) {
        if (effect.kind === 'archive') {
          yield effect.bytes;
        } else if (effect.kind === 'send') {
          socket.write(effect.bytes);
        } else {
          return;
        }
      }
    }
    session.end();
  } catch (error) {
    throw asInterruption(error, address, options.signal);
  } finally {
    socket.destroy();
  }
}

function open(address: PageServiceAddress, { silenceMs, signal }: BaseBackupOptions): Socket {
  const where = address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port };
  const socket = connectSocket({ ...where, noDelay: true });
  socket.setTimeout(silenceMs, () => {
    socket.destroy(
      computeError('base_backup_interrupted', `the page service said nothing for ${silenceMs} ms`),
    );
  });
  const abort = () => socket.destroy(new Error('aborted'));
  signal?.addEventListener('abort', abort, { once: true });
  socket.once('close', () => signal?.removeEventListener('abort', abort));
  return socket;
}

/** The socket's own errors in our words; ours as they are. */
function asInterruption(
  error: unknown,
  address: PageServiceAddress,
  signal: AbortSignal | undefined,
): unknown {
  if (signal?.aborted) {
    return signal.reason;
  }
  if (!(error instanceof Error) || !('code' in error) || !('syscall' in error)) {
    return error;
  }
  const where = formatPageServiceAddress(address);
  return computeError(
    'base_backup_interrupted',
    `the connection to the page service at ${where} broke: ${error.message}`,
    { details: { address: where }, cause: error },
  );
}
