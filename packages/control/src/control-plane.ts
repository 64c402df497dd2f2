import type {
  Branch,
  BranchCredentials,
  Compute,
  ConnectionString,
  ConnectVia,
  CreateBranchRequest,
  CreatedBranch,
  ImportTenantRequest,
  Operation,
  RoleRequest,
  RotatePasswordRequest,
  Status,
  StoppedCompute,
  Tenant,
  UpdateBranchRequest,
} from '@offshoot/client';
import type { ComputeDriver, ComputeEnd, ComputeSpec, IsolationFacts } from '@offshoot/compute';
import type { BranchHost, OpenBranch, OpenOptions } from '@offshoot/gateway';
import {
  type BranchId,
  type BranchRecord,
  catalogError,
  type PageServer,
  type TenantRecord,
} from '@offshoot/pageserver';
import {
  type BranchName,
  formatLsn,
  type Lsn,
  parseBranchName,
  parseTenantName,
  type TenantId,
} from '@offshoot/types';
import { asOpenError, branchDeleted, branchNameOfClient } from './branch-errors.js';
import { BranchLimits, chosenSize, settingsOf } from './branch-limits.js';
import { findBranchPoint, parentOf, parseBranchAt } from './branch-point/index.js';
import { branchPointView } from './branch-point-view.js';
import { newRole } from './branch-role/new-role.js';
import { RoleKeeper } from './branch-role/role-keeper.js';
import { accessOf, BranchViews } from './branch-views.js';
import { ComputeBook } from './compute-book.js';
import { connectCandidatesAt, connectCandidatesNow } from './connect-candidates.js';
import { connectionUrl, gatewayUrl, hostToConnectTo } from './connection-url.js';
import { controlError } from './control-errors.js';
import {
  computeMetrics,
  limitMetrics,
  Metrics,
  receiverMetrics,
  storeMetrics,
  wakeMetrics,
  wakeObserver,
} from './metrics/index.js';
import { OperationBook } from './operations.js';
import { toProblem } from './problem.js';
import {
  type QuotaBranch,
  type QuotaSettings,
  quotaDefaults,
  WriteQuotas,
  writeRefusalOf,
} from './quota/write-quotas.js';
import { receiverStatus, receiverView } from './receiver-view.js';
import { type BranchSurroundings, writtenBytes } from './sleep/branch-compute.js';
import { type Clock, systemClock } from './sleep/clock.js';
import { ComputeCounters } from './sleep/compute-counters.js';
import { ComputeRoom } from './sleep/compute-room.js';
import { resolveWakeSettings, type WakeSettings } from './sleep/wake-settings.js';

/** What the daemon tells of itself. */
export interface DaemonFacts {
  version: string;
  pid: number;
  dataDirectory: string;
  startedAt: Date;
  pageService(): Status['page_service'];
  /** Undefined: there is none. */
  gateway?(): Status['gateway'];
}

export interface ControlPlaneOptions {
  pageServer: PageServer;
  driver: ComputeDriver;
  facts: DaemonFacts;
  /** Ended operations that stay readable. */
  operationsEndedMax: number;
  /** Computes that are awake at one time; no more than the driver takes. */
  computesMax: number;
  wake?: Partial<WakeSettings> | undefined;
  quota?: Partial<QuotaSettings> | undefined;
  clock?: Clock | undefined;
  onComputeCrash(branch: string, end: ComputeEnd): void;
  /** Something that nobody waits for has failed. */
  onTrouble?: ((message: string, facts: { branch: string; error: unknown }) => void) | undefined;
}

/** Tenants, branches and computes as the management API shows them, and branches as a gateway opens them. */
export class ControlPlane implements BranchHost {
  /** Of all that the control plane knows; others add theirs. */
  readonly metrics = new Metrics();
  readonly #pageServer: PageServer;
  readonly #facts: DaemonFacts;
  readonly #computes: ComputeBook;
  readonly #branches: BranchViews;
  readonly #operations: OperationBook;
  readonly #roles: RoleKeeper;
  readonly #driver: ComputeDriver;
  readonly #room: ComputeRoom;
  readonly #wake: WakeSettings;
  readonly #limits: BranchLimits;
  readonly #quotas: WriteQuotas;
  #closing: Promise<void> | undefined;

  constructor(options: ControlPlaneOptions) {
    this.#pageServer = options.pageServer;
    this.#facts = options.facts;
    this.#driver = options.driver;
    this.#wake = resolveWakeSettings(options.wake);
    const quota = { ...quotaDefaults, ...options.quota };
    this.#limits = new BranchLimits(options.driver.defaultSize, quota.writeBytesMax);
    const clock = options.clock ?? systemClock;
    this.#room = new ComputeRoom({ ...this.#wake, computesMax: options.computesMax }, clock);
    this.#computes = new ComputeBook(this.#surroundings(options, clock));
    this.#branches = new BranchViews(() => this.#catalog, this.#computes, {
      idleTimeoutSeconds: (branch) => this.#idleTimeoutSeconds(branch),
      sizeOf: (branch) => this.#limits.sizeOf(branch),
      writeQuotaBytesOf: (branch) => this.#limits.writeQuotaBytesOf(branch),
      writtenBytesOf: (branch) => this.#writtenBytes(branch),
    });
    this.#quotas = new WriteQuotas(
      { awake: () => this.#computes.awake(), branch: (id) => this.#quotaBranch(id) },
      quota,
    );
    this.#roles = new RoleKeeper(() => this.#catalog, this.#computes, this.#wake.roleTimeoutMs);
    this.#operations = new OperationBook({ endedMax: options.operationsEndedMax }, toProblem);
    this.metrics.add(receiverMetrics(this.#pageServer));
    this.metrics.add(storeMetrics(this.#pageServer));
    this.metrics.add(computeMetrics(this.#computes, this.#pageServer));
    this.metrics.add(limitMetrics(this.#computes, this.#quotas, this.#driver.isolation));
    this.metrics.add(wakeMetrics(this.#computes, this.#room, () => this.#catalog.branchCount()));
  }

  #surroundings(
    { driver, onComputeCrash, onTrouble }: ControlPlaneOptions,
    clock: Clock,
  ): Omit<BranchSurroundings, 'onGone'> {
    return {
      driver,
      room: this.#room,
      clock,
      settings: this.#wake,
      counters: new ComputeCounters(),
      observer: wakeObserver(this.metrics),
      specOf: (id) => this.#computeSpec(id),
      newestLsn: (id) => this.#newestLsn(id),
      idleTimeoutSeconds: (id) => this.#idleTimeoutSeconds(this.#catalog.findBranch(id)),
      recordRoles: async (id, spec) => {
        await this.#roles.noteApplied(id, spec).catch((error: unknown) => {
          const branch = this.#catalog.findBranch(id);
          if (branch !== undefined)
            onTrouble?.('that a branch has its role was not written down', { branch: branch.name, error });
        });
      },
      recordUse: async (id, use) => {
        if (this.#catalog.findBranch(id) === undefined) return;
        await this.#catalog.recordUse(id, use).catch((error: unknown) => {
          const branch = this.#catalog.findBranch(id);
          if (branch !== undefined)
            onTrouble?.('the use of a branch was not written down', { branch: branch.name, error });
        });
      },
      onCrash: onComputeCrash,
      onUnanswered: (branch, error) =>
        onTrouble?.('a compute does not say whether there is work, and is not put to sleep', {
          branch,
          error,
        }),
    };
  }

  get #catalog() {
    return this.#pageServer.catalog;
  }

  importTenant(request: ImportTenantRequest): Operation {
    this.#expectOpen();
    const name = parseTenantName(request.name);
    this.#pageServer.refuseImport({ name, url: request.source_url });
    return this.#operations.start('tenant_import', name, async ({ signal, progress }) => {
      await this.#pageServer.importTenant({
        name,
        url: request.source_url,
        signal,
        onProgress: (seen) =>
          progress({
            phase: seen.phase,
            bytes_done: seen.bytesDone,
            pages: seen.pages,
            ...(seen.bytesTotal === undefined ? {} : { bytes_total: seen.bytesTotal }),
            ...(seen.walLsn === undefined ? {} : { wal_lsn: formatLsn(seen.walLsn) }),
          }),
      });
    });
  }

  operations(): Operation[] {
    return this.#operations.list();
  }

  operation(id: string): Operation {
    return this.#operations.get(id) ?? noOperation(id);
  }

  async cancelOperation(id: string): Promise<Operation> {
    return (await this.#operations.cancel(id)) ?? noOperation(id);
  }

  async tenants(): Promise<Tenant[]> {
    const stats = await this.#pageServer.stats();
    const counts = this.#catalog.branchCounts();
    return this.#catalog
      .tenants()
      .map((record) => this.#tenantView(record, stats.tenants.get(record.id), counts));
  }

  async tenant(name: string): Promise<Tenant> {
    const { id } = this.#catalog.tenantNamed(parseTenantName(name));
    const stats = await this.#pageServer.statsOf(id);
    return this.#tenantView(this.#catalog.tenant(id), stats, this.#catalog.branchCounts());
  }

  /** Removes everything of a tenant: from the first moment on nothing new can be begun on it, then its computes end. */
  async deleteTenant(name: string): Promise<Tenant> {
    this.#expectOpen();
    const view = await this.tenant(name);
    const { id: importing } = this.#operations.running('tenant_import', view.name) ?? {};
    if (importing !== undefined) {
      throw catalogError('tenant_not_active', `tenant ${view.name} is being imported`, {
        details: { action: `cancel the import instead: pageserver-ctl operation cancel ${importing}` },
      });
    }
    const left = await this.#pageServer.deleteTenant(parseTenantName(view.name), async () => {
      const branches = this.#catalog.branches().filter((branch) => branch.tenant === view.id);
      await Promise.all(
        branches.map((branch) => this.#computes.retire(branch, branchDeleted(branch.name), async () => {})),
      );
    });
    return { ...view, state: 'deleting', ...(left === undefined ? {} : { left_on_source: left }) };
  }

  async createBranch(request: CreateBranchRequest): Promise<CreatedBranch> {
    this.#expectOpen();
    const began = performance.now();
    const name = parseBranchName(request.name);
    const parent = request.from === undefined ? this.#onlyTenant() : parseBranchName(request.from);
    this.#catalog.refuseTakenName(name);
    const made = request.role === undefined ? undefined : await newRole(name, request.role);
    const settings = settingsOf(request);
    this.#limits.sizeOf(settings);
    const asked = parseBranchAt(request.at ?? 'latest', Date.now());
    const from = this.#catalog.branchNamed(parent);
    // What a compute has acknowledged is there, as far as its maker can tell.
    const at = asked.kind === 'latest' && from.parent !== undefined ? ({ kind: 'now' } as const) : asked;
    const point = await findBranchPoint(
      parentOf(this.#pageServer, this.#computes, from, request.timeout_ms),
      at,
    ).catch((error: unknown) => {
      this.#expectThere(from);
      throw error;
    });
    // Another branch may have its name by now; the point is one of this one's history.
    this.#expectThere(from);
    const settled = performance.now();
    const { branch } = await this.#pageServer.createBranch(name, parent, point.lsn, {
      ...settings,
      ...(made === undefined ? {} : { role: made.role }),
    });
    const timings = { settle: settled - began, catalog: performance.now() - settled };
    return {
      branch: this.#branches.one(branch),
      at: branchPointView(asked, point),
      timings_ms: timings,
      ...(made === undefined ? {} : this.#credentials(branch, made.password)),
    };
  }

  #expectThere({ id, name }: BranchRecord): void {
    if (this.#catalog.findBranch(id) === undefined) throw branchDeleted(name);
  }

  async createRole(name: string, request: RoleRequest): Promise<BranchCredentials> {
    this.#expectOpen();
    const branch = this.#catalog.branchNamed(parseBranchName(name));
    expectWritable(branch);
    const { password } = await this.#roles.create(branch, request);
    return this.#branchCredentials(branch.id, password);
  }

  async rotatePassword(name: string, { sessions }: RotatePasswordRequest): Promise<BranchCredentials> {
    this.#expectOpen();
    const branch = this.#catalog.branchNamed(parseBranchName(name));
    const { password } = await this.#roles.rotate(branch, sessions ?? 'keep');
    return this.#branchCredentials(branch.id, password);
  }

  async deleteRole(name: string): Promise<Branch> {
    this.#expectOpen();
    const branch = await this.#roles.remove(this.#catalog.branchNamed(parseBranchName(name)));
    return this.#branches.one(branch);
  }

  #branchCredentials(id: BranchId, password: string): BranchCredentials {
    const branch = this.#catalog.findBranch(id) ?? notFound('branch', id);
    return { branch: this.#branches.one(branch), ...this.#credentials(branch, password) };
  }

  /** The only time that the password is told. */
  #credentials(branch: BranchRecord, password: string): Pick<BranchCredentials, 'credentials'> {
    const { name: role, rights } = branch.role ?? notFound('role of branch', branch.name);
    const gateway = this.#facts.gateway?.();
    const url =
      gateway === undefined
        ? {}
        : { connection_string: this.#gatewayConnection(branch, { user: role, password }, gateway).url };
    return { credentials: { role, password, rights, ...url } };
  }

  /** Durability and memory hold for computes that start from then on, the rest at once. */
  async updateBranch(name: string, request: UpdateBranchRequest): Promise<Branch> {
    this.#expectOpen();
    const before = this.#catalog.branchNamed(parseBranchName(name));
    const { id } = before;
    const settings = settingsOf(request);
    this.#limits.sizeOf({ ...before, ...settings });
    const branch = await this.#catalog.updateBranch(id, settings);
    this.#computes.retime(id);
    this.#computes.alive(id)?.running.resize(this.#limits.sizeOf(branch));
    this.#quotas.check();
    return this.#branches.one(branch);
  }

  branches(): Branch[] {
    return this.#branches.all();
  }

  branch(name: string): Branch {
    return this.#branches.one(this.#catalog.branchNamed(parseBranchName(name)));
  }

  /** The catalog decides first: a branch that others start from keeps its compute, one that is gone ends with it. */
  async deleteBranch(name: string): Promise<Branch> {
    this.#expectOpen();
    const branch = this.#catalog.branchNamed(parseBranchName(name));
    this.#catalog.refuseUndeletable(branch);
    const view = this.#branches.one(branch);
    await this.#computes.retire(branch, branchDeleted(branch.name), async () => {
      this.#expectStillThere(branch);
      await this.#pageServer.deleteBranch(branch.name);
    });
    return { ...view, compute: 'stopped', activity: { ...view.activity, state: 'asleep', connections: 0 } };
  }

  async startCompute(name: string): Promise<Compute> {
    this.#expectOpen();
    return this.#computes.start(this.#catalog.branchNamed(parseBranchName(name)));
  }

  /** At once: sessions end, and are counted. */
  async stopCompute(name: string): Promise<StoppedCompute> {
    const branch = this.#catalog.branchNamed(parseBranchName(name));
    const { compute, connectionsEnded } = await this.#computes.stop(branch);
    return { ...compute, connections_ended: connectionsEnded };
  }

  async open(name: string, options: OpenOptions): Promise<OpenBranch> {
    try {
      this.#expectOpen();
      const branch = this.#catalog.branchNamed(branchNameOfClient(name));
      return await this.#computes.open(branch, options);
    } catch (error) {
      throw asOpenError(name, error);
    }
  }

  computes(): Compute[] {
    return this.#computes.list();
  }

  /** By default by the gateway where there is one: then the compute need not run. Else it must. */
  connectionString(
    name: string,
    choice: { database?: string; user?: string; via?: ConnectVia },
  ): ConnectionString {
    const branch = this.#catalog.branchNamed(parseBranchName(name));
    const gateway = this.#facts.gateway?.();
    if (gateway === undefined && choice.via === 'gateway') {
      throw controlError('gateway_off', 'the page server was started without a gateway');
    }
    return gateway === undefined || choice.via === 'socket'
      ? this.#socketConnection(branch, choice)
      : this.#gatewayConnection(branch, choice, gateway);
  }

  #socketConnection(branch: BranchRecord, choice: { database?: string; user?: string }): ConnectionString {
    const { socketDirectory, port, connectedAs } = this.#computes.running(branch);
    const user = choice.user ?? connectedAs.user;
    const database = choice.database ?? connectedAs.database;
    const url = connectionUrl({ socketDirectory, port, user, database });
    return { via: 'socket', url, host: socketDirectory, port, branch: branch.name, database, user };
  }

  #gatewayConnection(
    branch: BranchRecord,
    choice: { database?: string; user?: string; password?: string },
    { host: listens, port }: NonNullable<Status['gateway']>,
  ): ConnectionString {
    const host = hostToConnectTo(listens);
    // A running compute knows better which of the databases is there. Its role is one for ourselves.
    const connectedAs = this.#computes.alive(branch.id)?.running.connectedAs;
    const tenant = this.#catalog.tenant(branch.tenant);
    const user = choice.user ?? branch.role?.name ?? tenant.defaultUser;
    const name = choice.database ?? connectedAs?.database ?? tenant.defaultDatabase;
    const database = `${name}@${branch.name}`;
    const password = choice.password === undefined ? {} : { password: choice.password };
    const url = gatewayUrl({ host, port, user, ...password, database });
    return { via: 'gateway', url, host, port, branch: branch.name, database, user };
  }

  async status(): Promise<Status> {
    const { tenants: stats } = await this.#pageServer.stats();
    const gateway = this.#facts.gateway?.();
    return {
      version: this.#facts.version,
      pid: this.#facts.pid,
      data_directory: this.#facts.dataDirectory,
      started_at: this.#facts.startedAt.toISOString(),
      tenants: this.#catalog.tenants().length,
      branches: this.#catalog.branchCount(),
      computes_running: this.#computes.list().filter(({ state }) => state === 'running').length,
      computes_max: this.#room.limits.computesMax,
      wakes_waiting: this.#room.waiting,
      stored_bytes: [...stats.values()].reduce((sum, { usedBytes }) => sum + usedBytes, 0),
      isolation: isolationView(this.#driver.isolation),
      receivers: this.#receivers(),
      unavailable: this.#unavailable(),
      page_service: this.#facts.pageService(),
      ...(gateway === undefined ? {} : { gateway }),
    };
  }

  /** Begins nothing new, cancels what is under way and ends all computes. A second call waits for the same end. */
  close(): Promise<void> {
    this.#quotas.close();
    this.#closing ??= Promise.all([
      this.#operations.cancelAll(),
      this.#computes.close(shuttingDown()),
      this.#driver.close(),
    ]).then(() => undefined);
    return this.#closing;
  }

  #receivers(): Status['receivers'] {
    return this.#catalog.tenants().flatMap(({ id, name, needsReimport }) => {
      const seen = this.#pageServer.receiverOf(id);
      return seen === undefined ? [] : [receiverStatus(name, seen, needsReimport?.slot)];
    });
  }

  #unavailable(): Status['unavailable'] {
    return this.#catalog.tenants().flatMap(({ id, name }) => {
      const error = this.#pageServer.unavailable(id);
      return error === undefined ? [] : [{ tenant: name, code: error.code, message: error.message }];
    });
  }

  #expectOpen(): void {
    if (this.#closing !== undefined) throw shuttingDown();
  }

  /** Another branch may have its name by now. Throws `branch_not_found`. */
  #expectStillThere({ id, name }: BranchRecord): void {
    if (this.#catalog.findBranch(id) === undefined) {
      throw catalogError('branch_not_found', `branch ${name} does not exist any more`);
    }
  }

  /** As it is now. Throws when the branch is gone, or its tenant on its way out. */
  async #computeSpec(id: BranchId): Promise<ComputeSpec> {
    this.#expectOpen();
    const branch = this.#catalog.findBranch(id);
    if (branch === undefined) throw catalogError('branch_not_found', 'the branch does not exist any more');
    const tenant = this.#catalog.tenant(branch.tenant);
    if (tenant.state !== 'active') {
      throw catalogError('tenant_not_active', `tenant ${tenant.name} is ${tenant.state}`);
    }
    // Whoever changes them from now on waits for this start, and tells its compute.
    const roles = this.#roles.rolesOf(branch);
    const isReadOnly = accessOf(branch) === 'read_only';
    const baseLsn = isReadOnly
      ? this.#pageServer.timelineOfBranch(branch.name).lastRecordLsn()
      : // What a former compute had acknowledged is taken in first.
        await this.#pageServer.recoverBranch(branch);
    const common = {
      tenantId: branch.tenant,
      timelineId: branch.timeline,
      baseLsn,
      connectAs: await connectCandidatesAt(this.#pageServer, branch, baseLsn),
      connectAsNow: (signal: AbortSignal) => connectCandidatesNow(this.#pageServer, branch, signal),
    };
    if (isReadOnly) return { ...common, access: 'read_only' };
    return {
      ...common,
      wal: this.#pageServer.walOfCompute(branch),
      durability: branch.durability ?? 'sync',
      size: chosenSize(branch),
      refuseWrites: writeRefusalOf(this.#quotaOf(branch)),
      ...(roles === undefined ? {} : { roles }),
    };
  }

  /** Of a branch whose WAL comes from production. */
  #newestLsn(id: BranchId): Lsn | undefined {
    const branch = this.#catalog.findBranch(id);
    if (branch === undefined || accessOf(branch) === 'read_write') return undefined;
    return this.#pageServer.lastRecordLsnOf(this.#catalog.tenant(branch.tenant));
  }

  /** WAL of all its computes, as far as it is here; the gaps in between do not count. */
  #writtenBytes(branch: BranchRecord): number | undefined {
    if (branch.parent === undefined) return undefined;
    const last = this.#pageServer.receivedLsnOfBranch(branch);
    const wal = this.#computes.use(branch)?.wal;
    return last && (wal === undefined ? 0 : writtenBytes(wal, last));
  }

  #quotaOf(branch: BranchRecord): QuotaBranch {
    return {
      name: branch.name,
      quotaBytes: this.#limits.writeQuotaBytesOf(branch),
      writtenBytes: this.#writtenBytes(branch) ?? 0,
    };
  }

  #quotaBranch(id: BranchId): QuotaBranch | undefined {
    const branch = this.#catalog.findBranch(id);
    return branch && this.#quotaOf(branch);
  }

  #idleTimeoutSeconds(branch: BranchRecord | undefined): number {
    return branch?.idleTimeoutSeconds ?? this.#wake.idleTimeoutSeconds;
  }

  #onlyTenant(): BranchName {
    const tenants = this.#catalog.tenants().filter(({ state }) => state === 'active');
    const [only] = tenants;
    if (only === undefined || tenants.length > 1) {
      const names = tenants.map(({ name }) => name).join(', ') || 'none is imported yet';
      throw controlError('parent_needed', `say which branch to start from with "from"; tenants: ${names}`);
    }
    return parseBranchName(only.name);
  }

  #tenantView(
    record: TenantRecord,
    stats: { readonly usedBytes: number } | undefined,
    branchCounts: ReadonlyMap<TenantId, number>,
  ): Tenant {
    const root = this.#catalog.rootTimeline(record);
    const receiver = this.#pageServer.receiverOf(record.id);
    const { needsReimport } = record;
    const unavailable = record.state === 'active' ? this.#pageServer.unavailable(record.id) : undefined;
    return {
      id: record.id,
      name: record.name,
      state: unavailable === undefined ? record.state : 'unavailable',
      created_at: record.createdAt,
      source_url: record.source.url,
      system_identifier: record.source.systemIdentifier,
      server_version: versionText(record.pgVersionNum),
      wal_segment_bytes: record.walSegmentBytes,
      data_checksums: record.dataChecksums === 'on',
      unsupported_records: [...(record.importStats?.unsupported ?? [])],
      branches: branchCounts.get(record.id) ?? 0,
      ...(root === undefined
        ? {}
        : {
            readable_from_lsn: formatLsn(root.readableFrom),
            last_record_lsn: formatLsn(this.#pageServer.lastRecordLsnOf(record) ?? root.lastRecordLsn),
          }),
      ...(receiver === undefined ? {} : { receiver: receiverView(receiver) }),
      ...(needsReimport === undefined
        ? {}
        : {
            needs_reimport: {
              since: needsReimport.since,
              code: needsReimport.code,
              message: needsReimport.message,
              slot: needsReimport.slot,
            },
          }),
      ...(unavailable === undefined
        ? {}
        : { unavailable: { code: unavailable.code, message: unavailable.message } }),
      ...(stats === undefined ? {} : { stored_bytes: stats.usedBytes }),
    };
  }
}

function notFound(what: string, name: string): never {
  throw catalogError('branch_not_found', `${what} ${name} does not exist any more`);
}

function shuttingDown() {
  return controlError('shutting_down', 'the page server is shutting down');
}

/** Throws `branch_read_only`. */
function expectWritable(branch: BranchRecord): void {
  if (accessOf(branch) === 'read_write') return;
  throw controlError(
    'branch_read_only',
    `branch ${branch.name} is production's own history, and can only be read`,
    {
      details: { action: `branch it first: pageserver-ctl branch create NAME --from ${branch.name}` },
    },
  );
}

function isolationView({ notEnforced, enforced, ...facts }: IsolationFacts): Status['isolation'] {
  return { ...facts, enforced: [...enforced], not_enforced: [...notEnforced] };
}

/** 150018 as 15.18. */
function versionText(versionNum: number): string {
  return `${Math.floor(versionNum / 10_000)}.${versionNum % 10_000}`;
}

function noOperation(id: string): never {
  throw controlError(
    'operation_not_found',
    `there is no operation ${id}; the oldest ended ones are forgotten`,
  );
}
