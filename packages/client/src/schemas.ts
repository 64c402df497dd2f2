/**
 * The management API's requests and responses, shared by the server that checks them and the client that
 * sends them. Names on the wire are snake_case; LSNs are text like `0/16B5A50`; times are RFC 3339; sizes
 * are bytes; durations are milliseconds.
 */
import { z } from 'zod';
import { expiresAt, labelChanges, labels, snapshotPolicy, ttlSeconds } from './branch-life.js';
import { load } from './load-schemas.js';
import { garbage, history, ownStorage } from './retention-schemas.js';
import { bytes, id, lsn, name, time } from './schema-parts.js';

export * from './branch-life.js';
export { name } from './schema-parts.js';

/** How a tenant's source is followed. */
export const receiver = z.object({
  /**
   * `waiting`: the next attempt is due at `retry_at`. `source_changed`: another cluster or history answers at the source's
   * address; it is tried again. `needs_reimport`: WAL is missing for good, and what is there stays readable.
   */
  state: z.enum(['connecting', 'streaming', 'waiting', 'source_changed', 'needs_reimport', 'stopped']),
  since: time,
  /** What led to a state that is not a good one: an error's code and message. */
  reason: z.object({ code: z.string(), message: z.string() }).optional(),
  retry_at: time.optional(),
  /** WAL before it is on the page server's disk. */
  received_lsn: lsn.optional(),
  /** Where the source's WAL ends, as far as it has told. */
  source_lsn: lsn.optional(),
  /** How far what can be read is behind the source. */
  lag_bytes: bytes.optional(),
  lag_seconds: z.number().nonnegative().optional(),
  /** What keeps WAL on the source; all but its name as of the last look. */
  slot: z.object({
    name: z.string(),
    retained_bytes: bytes.optional(),
    wal_status: z.string().optional(),
    safe_wal_bytes: bytes.optional(),
  }),
});
export type Receiver = z.infer<typeof receiver>;

/** What has become of the slot of a tenant that needs to be imported again. */
export const slotLeft = z.enum(['to_be_dropped', 'dropped']);

/** What has to be removed from a source by hand. */
export const leftOnSource = z.object({ slot: z.string(), sql: z.string(), reason: z.string() });
export type LeftOnSource = z.infer<typeof leftOnSource>;

/** A tenant: one imported Postgres cluster with all its timelines. */
export const tenant = z.object({
  id,
  name,
  /** `unavailable`: its store could not be opened when the page server started; see `unavailable`. */
  state: z.enum(['importing', 'active', 'unavailable', 'deleting', 'failed']),
  created_at: time,
  /** The page server made it itself, for new databases to start from. */
  template: z.boolean(),
  /** The connection string that it was imported from, without its password. Absent of a template. */
  source_url: z.string().optional(),
  system_identifier: z.string(),
  server_version: z.string(),
  wal_segment_bytes: bytes,
  data_checksums: z.boolean(),
  /** Where the imported history becomes readable, and its newest LSN. Absent while importing. */
  readable_from_lsn: lsn.optional(),
  last_record_lsn: lsn.optional(),
  /** Bytes used on disk by the tenant's pages, all branches together. */
  stored_bytes: bytes.optional(),
  history,
  garbage,
  /**
   * Pages of databases that were made by copying files during the import, of which the backup cannot be certain, by
   * the record that made them. Such a page answers `unsupported record NAME at LSN`.
   */
  unsupported_records: z.array(z.object({ name: z.string(), count: z.number().int().positive() })),
  branches: z.number().int().nonnegative(),
  /** Absent while importing, and for tenants of versions that did not follow their source. */
  receiver: receiver.optional(),
  /** Set when the source cannot be followed any further and has to be imported again. */
  needs_reimport: z
    .object({
      since: time,
      code: z.string(),
      message: z.string(),
      /** Whether the source may still have the slot. It is tried until it is gone. */
      slot: slotLeft,
    })
    .optional(),
  /** Why it is unavailable: an error's code and message. */
  unavailable: z.object({ code: z.string(), message: z.string() }).optional(),
  /** In the answer to a deletion: the replication slot that could not be dropped. */
  left_on_source: leftOnSource.optional(),
});
export type Tenant = z.infer<typeof tenant>;

/** How far an import has come. `bytes_total` is the source's estimate and may be exceeded. */
export const importProgress = z.object({
  phase: z.enum(['connect', 'base_backup', 'wal', 'finish', 'done']),
  bytes_done: bytes,
  bytes_total: bytes.optional(),
  pages: bytes,
  wal_lsn: lsn.optional(),
});
export type ImportProgress = z.infer<typeof importProgress>;

/** RFC 9457 problem details, with what an agent should do next. */
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  code: z.string(),
  detail: z.string(),
  retryable: z.boolean(),
  /** Where it is known how long to wait before the same request may succeed; also as `Retry-After`, in seconds. */
  retry_after_ms: z.number().int().nonnegative().optional(),
  agent_action: z.string(),
});
export type Problem = z.infer<typeof problem>;

/** A long operation. It goes on when nobody watches; DELETE cancels it. */
export const operation = z.object({
  id: z.string(),
  kind: z.enum(['tenant_import', 'gc', 'database_load']),
  state: z.enum(['running', 'done', 'failed', 'cancelled']),
  started_at: time,
  finished_at: time.optional(),
  subject: z.string(),
  progress: importProgress.optional(),
  /** Of `database_load`. */
  load: load.optional(),
  error: problem.optional(),
});
export type Operation = z.infer<typeof operation>;

/**
 * What a commit on a branch's compute waits for. `sync`: that the page server has it on disk. `async`: nothing but the
 * compute; a crash loses the last moments. An orderly stop loses nothing either way.
 */
export const durability = z.enum(['sync', 'async']);
export type Durability = z.infer<typeof durability>;

/** The life of a compute's process. The next one has all that was acknowledged on the last; see `durability`. */
export const computeState = z.enum(['starting', 'running', 'stopping', 'stopped', 'crashed']);

/** How long a branch is left alone before its compute is put to sleep, in seconds; 0: it never is. */
export const idleTimeout = z.number().int().min(0).max(2_147_483);

/** Cores, also parts of one. */
export const cores = z.number().min(0.01).max(1024);
export const memoryBytes = z
  .number()
  .int()
  .min(128 * 1024 ** 2)
  .max(2 ** 46);
/** WAL that may be written on a branch, counted from where it begins; 0: any. */
export const writeQuotaBytes = z
  .number()
  .int()
  .min(0)
  .max(2 ** 50);

/** How large a branch's compute is. */
export const size = z.object({ cpu_min: cores, cpu_max: cores, memory_bytes: memoryBytes });
export type Size = z.infer<typeof size>;

/** What a running compute uses, as of the last look. */
export const usage = z.object({
  /** Its present share of the processor, in cores: between the branch's minimum and maximum, by its load. */
  cpu_share: z.number(),
  /** Cores that it kept busy. */
  cpu_used: z.number(),
  memory_bytes: bytes,
  processes: z.number().int(),
});
export type Usage = z.infer<typeof usage>;

const phases = z.record(z.string(), z.number());

/** Whether a branch's compute sleeps, and how it is used. */
export const activity = z.object({
  /** `crashed`: its compute ended by itself; the next connection wakes it anew. */
  state: z.enum(['asleep', 'waking', 'awake', 'going_to_sleep', 'crashed']),
  /** Connections through the gateway now. */
  connections: z.number().int().nonnegative(),
  /** When the last of them began or ended. */
  last_connection_at: time.optional(),
  /** When its compute was first started, when the first connection began, and when its compute last ended. */
  first_wake_at: time.optional(),
  first_connection_at: time.optional(),
  /**
   * When the first and the newest statement of a client began there, to some milliseconds. What was prepared and not executed, and
   * function calls of the wire protocol, are not seen.
   */
  first_query_at: time.optional(),
  last_query_at: time.optional(),
  slept_at: time.optional(),
  /** How often its compute was started. */
  wakes: z.number().int().nonnegative(),
  /** The last start, by phase, in milliseconds, from the first who waited for it. */
  last_wake: z.object({ at: time, phases_ms: phases }).optional(),
});
export type Activity = z.infer<typeof activity>;

/** `read_only`: Postgres refuses every write. So it is on a tenant's first branch, which is production's own history. */
export const access = z.enum(['read_write', 'read_only']);
export type Access = z.infer<typeof access>;

export const compute = z.object({
  id: z.string(),
  branch: name,
  state: computeState,
  access,
  /** Of a compute that reads only: what it shows, for as long as it runs. */
  base_lsn: lsn,
  /** As it was of the branch when the compute started. */
  durability,
  started_at: time,
  /** How long the start took, by phase, in milliseconds. */
  timings_ms: z.record(z.string(), z.number()),
  socket_directory: z.string().optional(),
  /** Where it asks for the passwords of the branch's roles; while it runs. */
  address: z.object({ host: z.string(), port: z.number().int() }).optional(),
  activity,
  /** While it runs. */
  usage: usage.optional(),
  /** Told to whoever may do everything. */
  log_file: z.string().optional(),
  /** Why it stopped, when it was not asked to. */
  reason: z.string().optional(),
});
export type Compute = z.infer<typeof compute>;

/** A compute that was stopped by hand. */
export const stoppedCompute = z.object({
  ...compute.shape,
  /** Sessions that ended with it. */
  connections_ended: z.number().int().nonnegative(),
});
export type StoppedCompute = z.infer<typeof stoppedCompute>;

/**
 * What a branch's own role may do there. `owner`: what the owners of all databases, schemas and tables may, with nothing of
 * production's passwords. `superuser`: everything, running programs as the OS user of the compute included.
 */
export const roleRights = z.enum(['owner', 'superuser']);
export type RoleRights = z.infer<typeof roleRights>;

/** A role that a branch has of its own. */
export const branchRole = z.object({ name: z.string(), rights: roleRights, password_set_at: time });

/** The password is told in this answer and never again. */
export const credentials = z.object({
  role: z.string(),
  password: z.string(),
  rights: roleRights,
  /** By the gateway, ready to use, with the password; absent when there is no gateway. */
  connection_string: z.string().optional(),
});
export type Credentials = z.infer<typeof credentials>;

/** What is not given is chosen: a name that no other role has, and `owner`. */
export const roleRequest = z.strictObject({
  name: z.string().min(1).max(63).optional(),
  rights: roleRights.optional(),
});
export type RoleRequest = z.infer<typeof roleRequest>;

/** `sessions`: whether those that the role has stay (`keep`, the default) or end. */
export const rotatePasswordRequest = z.strictObject({ sessions: z.enum(['keep', 'end']).optional() });
export type RotatePasswordRequest = z.infer<typeof rotatePasswordRequest>;

/** Who did something: a token, by its id and its name at the time. `daemon`: the one in the data directory. */
export const actor = z.object({ token: z.string(), name: z.string() });
export type Actor = z.infer<typeof actor>;

export const branch = z.object({
  id,
  name,
  tenant: name,
  timeline: id,
  parent: name.optional(),
  /** The LSN that the branch starts from. */
  base_lsn: lsn,
  created_at: time,
  /** When the request to make it came; absent for a tenant's first branch, and those of earlier versions. */
  requested_at: time.optional(),
  /** Absent: an earlier version made it, or an import. */
  created_by: actor.optional(),
  /** `expired`: its time is over, nobody can use it, and it is deleted with the last branch that starts from it. */
  state: z.enum(['active', 'expired', 'loading']),
  /** Absent: never. */
  expires_at: time.optional(),
  labels,
  /** It is not deleted, reset, restored or made to expire. */
  protected: z.boolean(),
  /** Absent: no checkpoints are taken of it by themselves. */
  snapshots: snapshotPolicy.optional(),
  /** Of the next start of its compute. */
  durability,
  /** Its own, or the page server's setting. */
  idle_timeout: idleTimeout,
  compute: computeState,
  activity,
  /** Nobody has connected or run a statement there. */
  never_used: z.boolean(),
  /** Nobody is connected, and nobody has been or run a statement for as long as the page server's setting says, a day. */
  abandoned: z.boolean(),
  /** What its computes let one do. */
  access,
  /** Absent: it has none of its own. */
  role: branchRole.optional(),
  /** Its own, or the page server's settings. CPU holds at once, memory from the next start of its compute on. */
  size,
  /** While its compute runs. */
  usage: usage.optional(),
  /** As of the last time that it was measured: by garbage collection, or since somebody asked for its storage. */
  own: ownStorage.optional(),
  /** WAL written on it since it was made; absent while it cannot be read. */
  written_bytes: bytes.optional(),
  write_quota_bytes: writeQuotaBytes,
  /** `refused`: the quota is reached, and statements that write fail (53100) until it is raised. */
  writes: z.enum(['taken', 'refused']),
});
export type Branch = z.infer<typeof branch>;

/** The life of a branch, also of one that is gone. Times that are absent have not come, or are not known. */
export const branchLifeRecord = z.object({
  id,
  name,
  tenant: name,
  state: z.enum(['loading', 'active', 'expired', 'deleted']),
  requested_at: time.optional(),
  created_at: time,
  created_by: actor.optional(),
  first_wake_at: time.optional(),
  first_connection_at: time.optional(),
  last_connection_at: time.optional(),
  /** When the first and the newest statement of a client began there. */
  first_query_at: time.optional(),
  last_query_at: time.optional(),
  /** When its compute last ended. */
  slept_at: time.optional(),
  /** How often its compute was started. */
  wakes: z.number().int().nonnegative(),
  /** Nobody has connected or run a statement there. */
  never_used: z.boolean(),
  /** When it was to expire, of one that is gone. */
  expires_at: time.optional(),
  destroyed_at: time.optional(),
  /** `cascade`: with a branch that it came from; `load`: a dump was not loaded; `tenant`: with its tenant. */
  destroyed_by: z.enum(['user', 'cascade', 'expiry', 'load', 'tenant']).optional(),
  /** Whose call that was. */
  destroyed_by_token: actor.optional(),
});
export type BranchLifeRecord = z.infer<typeof branchLifeRecord>;

/**
 * How to get to a branch: `gateway`, where its name is part of the database's and its compute is started when it does
 * not run; `socket`, straight to its running compute. Default: `gateway` where there is one.
 */
export const connectVia = z.enum(['gateway', 'socket']);
export type ConnectVia = z.infer<typeof connectVia>;

export const connectionString = z.object({
  via: connectVia,
  /** As libpq, node-postgres, pgx and SQLAlchemy read it. Of a socket the host is a parameter, as it is a directory. */
  url: z.string(),
  /** The same in parts, for drivers that take no URL. Of a socket `host` is its directory. */
  host: z.string(),
  port: z.number().int(),
  branch: name,
  /** `name@branch` by the gateway. */
  database: z.string(),
  user: z.string(),
});
export type ConnectionString = z.infer<typeof connectionString>;

export const status = z.object({
  version: z.string(),
  pid: z.number().int(),
  data_directory: z.string(),
  started_at: time,
  tenants: z.number().int(),
  branches: z.number().int(),
  computes_running: z.number().int(),
  /** As many may be awake at one time; the ones that wait for room. */
  computes_max: z.number().int(),
  wakes_waiting: z.number().int(),
  stored_bytes: bytes,
  /** How computes are kept apart on this machine. */
  isolation: z.object({
    means: z.enum(['cgroup', 'priorities']),
    /** Directory of the control group below which each compute has its own. */
    cgroup: z.string().optional(),
    /** Why there are no control groups. */
    reason: z.string().optional(),
    enforced: z.array(z.string()),
    not_enforced: z.array(z.string()),
  }),
  /** How each tenant's source is followed. */
  receivers: z.array(
    z.object({
      tenant: name,
      state: receiver.shape.state,
      lag_bytes: bytes.optional(),
      lag_seconds: z.number().nonnegative().optional(),
      reason: z.string().optional(),
      /** Of a tenant that needs to be imported again. */
      slot: slotLeft.optional(),
    }),
  ),
  /** Tenants whose store could not be opened. */
  unavailable: z.array(z.object({ tenant: name, code: z.string(), message: z.string() })),
  page_service: z.object({
    addresses: z.array(z.string()),
    connections: z.number().int(),
    pages_served: z.number().int(),
    bytes_sent: z.number().int(),
  }),
  /** Absent when there is none. */
  gateway: z
    .object({
      host: z.string(),
      port: z.number().int(),
      /** What connection strings name as its host; absent: `host`. */
      public_host: z.string().optional(),
      tls: z.enum(['off', 'allow', 'require']),
      connections: z.number().int(),
      connections_total: z.number().int(),
      /** Connections that wait for their branch. */
      parked: z.number().int(),
      /** Connections that were refused, by SQLSTATE; `compute`: by the branch's own Postgres. */
      refused: z.record(z.string(), z.number().int()),
    })
    .optional(),
});
export type Status = z.infer<typeof status>;

export const importTenantRequest = z.strictObject({ name, source_url: z.string().min(1).max(4096) });
export type ImportTenantRequest = z.infer<typeof importTenantRequest>;

/** Each default is the page server's setting. */
const limits = {
  cpu_min: cores.optional(),
  cpu_max: cores.optional(),
  memory_bytes: memoryBytes.optional(),
  write_quota_bytes: writeQuotaBytes.optional(),
};

export const createBranchRequest = z.strictObject({
  name,
  from: name.optional(),
  /** Default: `sync`. */
  durability: durability.optional(),
  /** Default: the page server's setting, 300. */
  idle_timeout: idleTimeout.optional(),
  ...limits,
  /**
   * Where in the parent's history it starts: `latest` (the default: what the page server has of production; of another
   * branch, all that was committed there), `now` (all that production has on its disk at the time of the call), an LSN,
   * a time (`2026-11-21T12:00:00Z`, `2026-11-21 12:00:00+01`; without a zone UTC), or how long ago (`-5m`, `-1h30m`).
   */
  at: z.string().min(1).max(64).optional(),
  /** At most one of these three. From then on it cannot be used, and it is deleted; default: the page server's setting, a week. */
  ttl_seconds: ttlSeconds.optional(),
  expires_at: expiresAt.optional(),
  /** `true`: it does not expire. */
  keep: z.boolean().optional(),
  labels: labels.optional(),
  /** Default: no. One that is does not expire. */
  protected: z.boolean().optional(),
  snapshots: snapshotPolicy.optional(),
  /** A role of its own. Default: none; then whoever connects needs a password of production's. */
  role: roleRequest.optional(),
  /** How long to wait for what production has, or a parent's compute; default: the page server's setting, 30 s. */
  timeout_ms: z.number().int().min(1).max(240_000).optional(),
});
export type CreateBranchRequest = z.infer<typeof createBranchRequest>;

/** What is not given stays as it is. `durability` and `memory_bytes` hold from the next start on, the others at once. */
export const updateBranchRequest = z
  .strictObject({
    durability: durability.optional(),
    idle_timeout: idleTimeout.optional(),
    ...limits,
    /** From now on; in place of what was chosen before. */
    ttl_seconds: ttlSeconds.optional(),
    /** `null`: never. */
    expires_at: expiresAt.nullable().optional(),
    labels: labelChanges.optional(),
    /** `true` takes its expiry away. */
    protected: z.boolean().optional(),
    /** `null`: none from now on; those that are there stay. */
    snapshots: snapshotPolicy.nullable().optional(),
  })
  .refine(
    (request) => Object.keys(request).length > 0,
    'say what to change: durability, idle_timeout, cpu_min, cpu_max, memory_bytes, write_quota_bytes, ttl_seconds, ' +
      'expires_at, labels, protected or snapshots',
  );
export type UpdateBranchRequest = z.infer<typeof updateBranchRequest>;

/** Where in its parent's history a branch starts. */
export const branchPoint = z.object({
  kind: z.enum(['latest', 'now', 'lsn', 'time', 'checkpoint']),
  lsn,
  checkpoint: z.string().optional(),
  /** The time that was asked for. The branch has every commit up to the first that is later. */
  time: time.optional(),
  /** Set when a time was asked for without a zone. */
  assumed_zone: z.literal('UTC').optional(),
  /** Of the last commit in the branch; absent when it was before the import. */
  last_commit_time: time.optional(),
  /**
   * How long ago the source (production, or the parent branch's compute) was last known to be in this state; absent when
   * nothing is known of that.
   */
  data_age_ms: z.number().nonnegative().optional(),
});
export type BranchPoint = z.infer<typeof branchPoint>;

export const createdBranch = z.object({
  branch,
  at: branchPoint,
  timings_ms: z.record(z.string(), z.number()),
  /** Of the role of its own that was asked for. */
  credentials: credentials.optional(),
});
export type CreatedBranch = z.infer<typeof createdBranch>;

/** A branch that is gone; `deleted`: with those that started from it, in the order in which they went. */
export const deletedBranch = z.object({ ...branch.shape, deleted: z.array(name) });
export type DeletedBranch = z.infer<typeof deletedBranch>;

/** A branch that goes on from another point: the same id, name and connection string. */
export const movedBranch = z.object({
  branch,
  /** Where it goes on from, in the history of `history_of`. */
  at: branchPoint,
  history_of: name,
  /** The branch that has the state before. */
  preserved: name.optional(),
  /** Sessions that ended. */
  connections_ended: z.number().int().nonnegative(),
  timings_ms: z.record(z.string(), z.number()),
});
export type MovedBranch = z.infer<typeof movedBranch>;

export const branchCredentials = z.object({ branch, credentials });
export type BranchCredentials = z.infer<typeof branchCredentials>;

export const tenantList = z.object({ tenants: z.array(tenant) });
export const branchList = z.object({
  branches: z.array(branch),
  /** There are more: `cursor` of the call that answers them. */
  next_cursor: z.string().optional(),
});
export const computeList = z.object({ computes: z.array(compute) });
export const operationList = z.object({ operations: z.array(operation) });
