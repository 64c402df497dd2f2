import { join } from 'node:path';
import { computeError } from './compute-errors.js';
import type { ComputeSettings } from './compute-settings.js';
import type { Durability } from './compute-wal.js';
import type { ControlFile } from './control-file.js';
import { LOOPBACK } from './free-ports.js';

/** Postgres parameters in the order in which they are written. */
export type Parameters = Readonly<Record<string, string>>;

/** What synchronous_standby_names, the receiver's connection and its replication slot are called. */
export const WAL_RECEIVER_NAME = 'offshoot';

/** The receiver's own, one more for its next connection while the last one ends, and two for whoever works there. */
const WAL_SENDERS_MIN = 4;

/** Postgres' own default. */
const REPLICATION_SLOTS = 10;

/** Parameters that may be chosen down to a bound: below it the page server could not take in the compute's WAL. */
const leastValues: Readonly<Record<string, number>> = {
  max_wal_senders: WAL_SENDERS_MIN,
  max_replication_slots: WAL_SENDERS_MIN,
};

/** How a compute's WAL leaves it. `none`: nobody takes it in, and its writes live as long as it. */
export interface WalKeeping {
  readonly durability: Durability | 'none';
  readonly unsentWalBytesMax: number;
}

/** Where a compute can be reached, and where it reads who may. */
export interface ListeningPlaces {
  readonly socketDirectory: string;
  /** On TCP; the socket's file is named after it too. */
  readonly port: number;
  readonly dataDirectory: string;
}

/**
 * What makes a clone not act as production, and what the way it is stored relies on. Given on the command line,
 * where neither ALTER SYSTEM nor a configuration file can undo it.
 */
export function fixedParameters(places: ListeningPlaces, keeping: WalKeeping): Parameters {
  return {
    listen_addresses: LOOPBACK,
    unix_socket_directories: quoteListElement(places.socketDirectory),
    unix_socket_permissions: '0700',
    port: String(places.port),
    hba_file: join(places.dataDirectory, 'pg_hba.conf'),
    ident_file: join(places.dataDirectory, 'pg_ident.conf'),
    // Production's certificates do not come along; who connects from elsewhere does so through a gateway.
    ssl: 'off',
    db_user_namespace: 'off',
    archive_mode: 'off',
    // Subscriptions of production are in the catalog; without workers none connects to its publisher.
    max_logical_replication_workers: '0',
    // A commit returns when the page server has its WAL on disk.
    synchronous_standby_names: keeping.durability === 'sync' ? WAL_RECEIVER_NAME : '',
    wal_sender_timeout: '60s',
    // The slot keeps what the page server still needs, and nothing else is wanted.
    wal_keep_size: '0',
    max_slot_wal_keep_size: megabytes(keeping.unsentWalBytesMax),
    primary_conninfo: '',
    // A compute that reads only is a standby: nothing brings it WAL or ends that.
    hot_standby: 'on',
    restore_command: '',
    primary_slot_name: '',
    promote_trigger_file: '',
    archive_cleanup_command: '',
    recovery_end_command: '',
    // How often it looks for WAL that does not come.
    wal_retrieve_retry_interval: '1h',
    // A placeholder where pg_cron is not loaded, and harmless then.
    'cron.launch_active_jobs': 'off',
    // A crashed compute is started anew from the page server; it never recovers from its own disk.
    restart_after_crash: 'off',
    fsync: 'off',
    full_page_writes: 'off',
    logging_collector: 'off',
  };
}

/** What goes into postgresql.conf: changeable on the compute, as on any Postgres. */
export function fileParameters(settings: ComputeSettings, control: ControlFile): Parameters {
  const own = { ...fromControlFile(settings, control), ...fromSettings(settings, control), ...constants };
  for (const [name, value] of Object.entries(settings.parameters)) {
    checkParameter(name, value);
  }
  return { ...own, ...settings.parameters };
}

/**
 * Values that Postgres compares with pg_control: equal ones spare a record of the change in WAL, and prepared
 * transactions and, on a standby, connections of production must have room.
 */
function fromControlFile(settings: ComputeSettings, control: ControlFile): Parameters {
  return {
    wal_level: control.walLevel === 'minimal' ? 'replica' : control.walLevel,
    wal_log_hints: control.walLogHints,
    max_connections: String(Math.max(control.maxConnections, settings.maxConnections)),
    max_worker_processes: String(control.maxWorkerProcesses),
    max_wal_senders: String(Math.max(control.maxWalSenders, WAL_SENDERS_MIN)),
    max_replication_slots: String(REPLICATION_SLOTS),
    max_prepared_transactions: String(control.maxPreparedTransactions),
    max_locks_per_transaction: String(control.maxLocksPerTransaction),
    track_commit_timestamp: control.trackCommitTimestamp,
  };
}

function fromSettings(settings: ComputeSettings, control: ControlFile): Parameters {
  // Postgres refuses less than two segments.
  const walBytesMin = 2 * control.walSegmentBytes;
  return {
    shared_buffers: kilobytes(settings.sharedBuffersBytes),
    work_mem: kilobytes(settings.workMemBytes),
    maintenance_work_mem: kilobytes(settings.maintenanceWorkMemBytes),
    effective_cache_size: kilobytes(settings.effectiveCacheBytes),
    temp_file_limit: kilobytes(settings.tempFileBytesMax),
    min_wal_size: megabytes(walBytesMin),
    max_wal_size: megabytes(Math.max(walBytesMin, settings.maxWalSizeBytes)),
    max_parallel_workers: String(settings.maxParallelWorkers),
    max_parallel_workers_per_gather: String(settings.maxParallelWorkersPerGather),
    autovacuum_max_workers: String(settings.autovacuumWorkers),
    autovacuum_naptime: `${settings.autovacuumNaptimeSeconds}s`,
    checkpoint_timeout: `${settings.checkpointTimeoutSeconds}s`,
  };
}

const constants: Parameters = {
  // Where a session, a role or a database sets less, its commits do not wait for the page server.
  synchronous_commit: 'on',
  // Freezing old tables is production's work: here it would fetch every page of them.
  autovacuum_freeze_max_age: '1000000000',
  autovacuum_multixact_freeze_max_age: '1000000000',
  // WAL files stay sparse and are not kept for reuse.
  wal_init_zero: 'off',
  wal_recycle: 'off',
  huge_pages: 'off',
  // Goes away with the data directory whatever happens, and needs no /dev/shm, which containers keep small.
  dynamic_shared_memory_type: 'mmap',
  jit: 'off',
  // What initdb writes on most machines, and what the built-in defaults differ from.
  default_text_search_config: 'pg_catalog.english',
  timezone: 'UTC',
  log_timezone: 'UTC',
  lc_messages: 'C',
  log_destination: 'stderr',
  log_line_prefix: '%m [%p] %q%u@%d ',
};

const fixedNames = fixedParameters(
  { socketDirectory: '', port: 0, dataDirectory: '' },
  { durability: 'none', unsentWalBytesMax: 0 },
);

/** Of what is chosen by name. Throws `compute_setting_invalid`. */
export function checkParameters(parameters: Parameters): void {
  for (const [name, value] of Object.entries(parameters)) checkParameter(name, value);
}

function checkParameter(name: string, value: string): void {
  if (!/^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)?$/.test(name)) {
    throw invalid(name, `${JSON.stringify(name)} cannot name a Postgres parameter`);
  }
  if (Object.hasOwn(fixedNames, name.toLowerCase())) {
    throw invalid(name, `${name} cannot be chosen: a compute needs its own value`);
  }
  const least = leastValues[name.toLowerCase()];
  if (least !== undefined && !(Number(value) >= least)) {
    throw invalid(name, `${name} is ${value}; a compute needs at least ${least}`);
  }
  if (hasControlCharacter(value)) {
    throw invalid(name, `the value of ${name} holds a control character`);
  }
}

function hasControlCharacter(text: string): boolean {
  return [...text].some((character) => character < ' ');
}

function invalid(setting: string, message: string) {
  return computeError('compute_setting_invalid', message, { details: { setting } });
}

function kilobytes(bytes: number): string {
  return `${Math.floor(bytes / 1024)}kB`;
}

function megabytes(bytes: number): string {
  return `${Math.floor(bytes / (1024 * 1024))}MB`;
}

/** unix_socket_directories is a list; a quoted element may hold commas and spaces. */
export function quoteListElement(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}

/** The text of a postgresql.conf. */
export function formatParameters(parameters: Parameters): string {
  return Object.entries(parameters)
    .map(([name, value]) => `${name} = ${quoteValue(value)}\n`)
    .join('');
}

/** Backslash is an escape in configuration files. */
function quoteValue(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

/** The same as arguments of `postgres`. */
export function parameterArguments(parameters: Parameters): string[] {
  return Object.entries(parameters).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/**
 * Production's own rules are about production's networks and stay there. Only processes of the OS user (and root)
 * reach the socket, whose directory has mode 0700. On TCP the clone's roles log in with the passwords that they have
 * in production: `md5` takes verifiers of both kinds, SCRAM for those of SCRAM.
 */
export const COMPUTE_HBA = [
  'local all all trust',
  'local replication all trust',
  `host all all ${LOOPBACK}/32 md5`,
  `host replication all ${LOOPBACK}/32 md5`,
  '',
].join('\n');
