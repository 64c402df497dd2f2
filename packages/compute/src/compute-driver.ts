import type { Lsn, TenantId, TimelineId } from '@offshoot/types';
import type { BranchRoles, OpenSessions } from './branch-roles/branch-roles.js';
import type { ComputeState } from './compute-lifecycle.js';
import type { ComputeSettings } from './compute-settings.js';
import type { ComputeWal, Durability } from './compute-wal.js';
import type { ComputeSize, ComputeUsage, IsolationFacts } from './isolation/index.js';
import type { WriteRefusal } from './limits-file.js';
import type { StatementTimes } from './statements-file.js';

/** A role and a database that exist on the branch, to ask the first query with. */
export interface ConnectAs {
  readonly user: string;
  readonly database: string;
}

/**
 * - `read_write`: an ordinary Postgres.
 * - `read_only`: a standby that is given no WAL: Postgres itself refuses every write, whoever asks.
 */
export type ComputeAccess = 'read_write' | 'read_only';

/** What a compute is to serve. */
export interface ComputeSpec {
  readonly tenantId: TenantId;
  readonly timelineId: TimelineId;
  /** Every page that the compute has not written itself is read as of this LSN. */
  readonly baseLsn: Lsn;
  /** Tried in order until one can connect; at least one. */
  readonly connectAs: readonly ConnectAs[];
  /** The same of the branch as it is by now, should what could connect not be let in any more. */
  readonly connectAsNow?: ((signal: AbortSignal) => Promise<readonly ConnectAs[]>) | undefined;
  /** Default: `read_write`. With `read_only` there is neither `wal` nor `roles`. */
  readonly access?: ComputeAccess | undefined;
  /**
   * Where whoever waits for the compute will connect to. The first query is asked there, if it can be: then what a
   * session reads first of that database is here when theirs begins. Whether it exists is not known.
   */
  readonly firstDatabase?: string | undefined;
  /** Over the driver's defaults. */
  readonly settings?: Partial<ComputeSettings>;
  /** Keeps what is written. Absent: it lives as long as the compute. */
  readonly wal?: ComputeWal | undefined;
  /** Of commits, when there is `wal`. Default: `sync`. */
  readonly durability?: Durability | undefined;
  /** Seen to before the start is over. Absent: no branch's own role can be in the data. */
  readonly roles?: BranchRoles | undefined;
  /** Over the driver's defaults. */
  readonly size?: Partial<ComputeSize> | undefined;
  /** From its first moment on nothing can be written on it. */
  readonly refuseWrites?: WriteRefusal | undefined;
}

/** How long each phase of a start took, in milliseconds. Phases follow each other; their sum is at most `total`. */
export interface ComputeTimings {
  /** From the request to the last byte of the base backup, written out. */
  readonly base_backup: number;
  /** Configuration, WAL segment, directories of the preload library. */
  readonly configure: number;
  /** Creating the process. */
  readonly spawn: number;
  /** From then until Postgres said that it takes connections. */
  readonly postmaster: number;
  /** Connecting and one query on a catalog. */
  readonly first_query: number;
  /** From then until its WAL streamed in and, for `sync`, commits waited for that; it connects before the first query. */
  readonly wal: number;
  /** Making the branch's own role what it shall be. */
  readonly roles: number;
  readonly total: number;
}

/** A compute that answered a query. */
export interface RunningCompute {
  readonly id: string;
  readonly tenantId: TenantId;
  readonly timelineId: TimelineId;
  readonly baseLsn: Lsn;
  readonly access: ComputeAccess;
  /** Where its WAL begins: at a segment, some LSNs behind `baseLsn`. */
  readonly walStart: Lsn;
  /** Process id of the postmaster. */
  readonly pid: number;
  readonly startedAt: Date;
  /** `host` of a connection that is trusted; the socket's file there is named after `port`. */
  readonly socketDirectory: string;
  readonly port: number;
  /** The address where `port` asks for the passwords of the branch's roles. */
  readonly host: string;
  readonly dataDirectory: string;
  readonly logFile: string;
  /** What could connect last, of ours. */
  readonly connectedAs: ConnectAs;
  readonly timings: ComputeTimings;
  /** Settles, never rejects, as soon as it takes no more connections: it is being stopped, or has crashed. */
  readonly ending: Promise<void>;
  /** Settles, never rejects, when the process has ended, its directory is gone and its WAL is taken in. */
  readonly ended: Promise<ComputeEnd>;
  /** An LSN behind all that was committed before the call; its WAL can be received. */
  flushedLsn(signal: AbortSignal): Promise<Lsn>;
  /** Makes them what they shall be from now on. Throws `role_name_taken` and what Postgres says. */
  applyRoles(roles: BranchRoles, sessions: OpenSessions, signal: AbortSignal): Promise<void>;
  /** What is going on there now. */
  activity(signal: AbortSignal): Promise<ComputeActivity>;
  /** What it uses, and its present share of the processor; undefined when it has ended. */
  usage(): ComputeUsage | undefined;
  /** When clients' statements began there, those inside functions too; also once it has ended. */
  statements(): StatementTimes;
  /** Other bounds of its share of the processor, at once. */
  resize(cpu: Pick<ComputeSize, 'cpuMin' | 'cpuMax'>): void;
  /** Ends it, for that reason; all that was committed stays. */
  exceed(reason: string): void;
  /** From now on statements that write fail with these words; undefined: no more. */
  refuseWrites(refusal: WriteRefusal | undefined): void;
  /** What sessions are told, with 57P01, that an orderly stop ends from now on. */
  sayFarewell(message: string): void;
}

/** What goes on in a compute, besides what we do there ourselves. */
export interface ComputeActivity {
  /** Clients' sessions, idle ones too, by whatever way they came; and those that take WAL from it. */
  readonly sessions: number;
}

/** How a compute ended. */
export interface ComputeEnd {
  readonly state: 'stopped' | 'crashed';
  /** One line: exit status or signal, and the log's last words when it crashed. */
  readonly reason: string;
}

/** A compute as it stands now, starting ones included. */
export interface ComputeStatus {
  readonly id: string;
  readonly tenantId: TenantId;
  readonly timelineId: TimelineId;
  readonly baseLsn: Lsn;
  readonly state: ComputeState;
  /** Absent until the process was made. */
  readonly pid?: number;
}

/**
 * How Postgres is told to stop. `immediate`: at once, nothing is flushed; sessions are told. `fast`: sessions are
 * ended, then a checkpoint is made.
 */
export type StopMode = 'immediate' | 'fast';

/** What a sweep found of a former daemon. */
export interface SweepReport {
  readonly killedPids: readonly number[];
  /** What could not be removed, with the reason; the next sweep tries again. */
  readonly left: readonly { readonly directory: string; readonly error: unknown }[];
  readonly removedDirectories: readonly string[];
}

/** Where and how computes run. */
export interface ComputeDriver {
  /**
   * Answers when a query on a catalog has succeeded; on failure nothing is left but the log. Throws
   * `base_backup_*`, `compute_start_*`, `computes_exhausted`, `compute_setting_invalid`.
   */
  start(spec: ComputeSpec, signal?: AbortSignal): Promise<RunningCompute>;
  /** Answers when the compute has `ended`; by default at once. Throws `compute_not_found`. */
  stop(id: string, mode?: StopMode): Promise<ComputeEnd>;
  list(): readonly ComputeStatus[];
  /** How computes are kept apart here. */
  readonly isolation: IsolationFacts;
  /** What computes share. */
  readonly cores: number;
  /** Of computes that are not given another. */
  readonly defaultSize: ComputeSize;
  /** Kills and removes what a former daemon left in this data directory. Before the first start only. */
  sweep(): Promise<SweepReport>;
  /** Stops all computes, those being started included; those whose writes are kept in mode `fast`. */
  close(): Promise<void>;
}
