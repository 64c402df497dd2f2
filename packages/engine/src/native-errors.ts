import { defineErrors, OffshootError } from '@offshoot/types';

/** Codes of what the native engine refuses or fails at, and of the addon itself. */
export const engineError = defineErrors({
  /** The addon was not built, or was built for another machine. */
  engine_addon_missing: { kind: 'alert', sqlState: '58P01', httpStatus: 500 },
  /** A handle was used after its close. */
  engine_closed: { kind: 'reconnect', sqlState: '57P01', httpStatus: 503 },
  /** A page request that does not have the form of one. */
  engine_request_malformed: { kind: 'fix', sqlState: '08P01', httpStatus: 400 },
  /** A failure inside the engine that has no code of its own. */
  engine_failed: { kind: 'alert', sqlState: 'XX000', httpStatus: 500 },
  /** A request that no state of the data could satisfy. */
  engine_argument: { kind: 'fix', sqlState: '22023', httpStatus: 400 },
  /** More readers at once than the store takes, or its map is being grown. */
  engine_busy: { kind: 'retry', sqlState: '53400', httpStatus: 503 },
  /** The store's map has reached its limit; what was acknowledged is intact. */
  store_full: { kind: 'alert', sqlState: '53100', httpStatus: 507 },
  /** Another process is using the directory. */
  directory_locked: { kind: 'fix', sqlState: '55006', httpStatus: 409 },
  /** The file system said no: permissions, a missing directory, an I/O error. */
  storage_io: { kind: 'alert', sqlState: '58030', httpStatus: 500 },
  /** No space left; what was acknowledged is intact. */
  disk_full: { kind: 'alert', sqlState: '53100', httpStatus: 507 },
  /** Bytes on disk are not what the engine wrote. */
  storage_corrupt: { kind: 'alert', sqlState: 'XX001', httpStatus: 500 },
  /** What a compute had acknowledged stands in its log no more; nothing of the log is taken or deleted. */
  wal_damaged: { kind: 'alert', sqlState: 'XX001', httpStatus: 500 },
  /** Another version of this program wrote the tenant's store, in formats that this one does not read. */
  storage_other_format: { kind: 'fix', sqlState: '0A000', httpStatus: 501 },
  /** The cluster or its backup is of a form that the engine does not serve. */
  source_unsupported: { kind: 'fix', sqlState: '0A000', httpStatus: 422 },
  /** A base backup or WAL that does not make sense: broken off, out of order, damaged. */
  source_corrupt: { kind: 'alert', sqlState: 'XX001', httpStatus: 502 },
  /** A page's history holds a WAL record that cannot be applied. */
  unsupported_record: { kind: 'alert', sqlState: '0A000', httpStatus: 501 },
  /** There is no such timeline, relation or page at that LSN. */
  engine_not_found: { kind: 'fix', sqlState: '42704', httpStatus: 404 },
  /** The system did not start a program; its own words are in the message. */
  program_not_started: { kind: 'alert', sqlState: '58000', httpStatus: 500 },
  /** The threads that pass connections' bytes could not be started, or take no connection over. */
  splice_failed: { kind: 'alert', sqlState: '58000', httpStatus: 500 },
  /** The LSN lies outside what the timeline can answer. */
  lsn_out_of_range: { kind: 'fix', sqlState: '22023', httpStatus: 422 },
});

/** What the native engine says about a failure. */
export interface NativeErrorData {
  readonly code: string;
  readonly message: string;
  readonly details?: Readonly<Record<string, string>> | undefined | null;
}

/** The engine's codes in our words. A code that is not here becomes `engine_failed` and keeps its name in the details. */
const codes: Readonly<Record<string, Parameters<typeof engineError>[0]>> = {
  argument: 'engine_argument',
  bad_source: 'source_corrupt',
  busy: 'engine_busy',
  closed: 'engine_closed',
  corrupt: 'storage_corrupt',
  disk_full: 'disk_full',
  internal: 'engine_failed',
  io: 'storage_io',
  locked: 'directory_locked',
  malformed_request: 'engine_request_malformed',
  not_found: 'engine_not_found',
  not_readable: 'lsn_out_of_range',
  other_format: 'storage_other_format',
  program: 'program_not_started',
  splice: 'splice_failed',
  store_full: 'store_full',
  unsupported: 'source_unsupported',
  unsupported_record: 'unsupported_record',
  wal_damaged: 'wal_damaged',
};

/** The one place where an error of the addon becomes ours. */
export function fromNative(data: NativeErrorData, cause?: unknown): OffshootError {
  const details = { ...data.details, native_code: data.code };
  return engineError(codes[data.code] ?? 'engine_failed', data.message, { details, cause });
}

/** Any thrown thing that came out of a call of the addon. */
export function fromThrown(thrown: unknown): OffshootError {
  if (thrown instanceof OffshootError) {
    return thrown;
  }
  const { code, message, details } = (thrown ?? {}) as Partial<NativeErrorData>;
  if (typeof code === 'string' && typeof message === 'string') {
    return fromNative({ code, message, details }, thrown);
  }
  return engineError('engine_failed', message ?? String(thrown), { cause: thrown });
}

/** Runs a synchronous call of the addon. */
export function calling<T>(call: () => T): T {
  try {
    return call();
  } catch (thrown) {
    throw fromThrown(thrown);
  }
}

/** Awaits a call of the addon. */
export async function awaiting<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (thrown) {
    throw fromThrown(thrown);
  }
}
