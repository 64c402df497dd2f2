import type {
  Branch,
  BranchCredentials,
  BranchEvent,
  Checkpoint,
  Compute,
  ConnectionString,
  CreateBranchRequest,
  CreateCheckpointRequest,
  CreatedBranch,
  DeletedBranch,
  ImportTenantRequest,
  MovedBranch,
  Operation,
  RenameBranchRequest,
  ResetBranchRequest,
  RestoreBranchRequest,
  RoleRequest,
  RotatePasswordRequest,
  Status,
  StoppedCompute,
  Tenant,
  UpdateBranchRequest,
} from '@offshoot/client';
import type { ComputeDriver, ComputeEnd } from '@offshoot/compute';
import type { BranchHost, OpenBranch, OpenOptions } from '@offshoot/gateway';
import {
  type Actor,
  type BranchId,
  type BranchRecord,
  catalogError,
  type IdempotencyRecord,
  type PageServer,
  type TenantRecord,
} from '@offshoot/pageserver';
import { asOffshootError, parseBranchName } from '@offshoot/types';
import { type AccessSettings, accessDefaults } from './access/access-settings.js';
import { type BranchAccess, branchFor, type Caller } from './access/caller.js';
import { TokenKeeper } from './access/token-keeper.js';
import { asOpenError, branchNameOfClient } from './branch-errors.js';
import { BranchLimits } from './branch-limits.js';
import { RoleKeeper } from './branch-role/role-keeper.js';
import { BranchRoleCalls } from './branch-roles.js';
import { type BranchPage, BranchViews } from './branch-views.js';
import { Branches, type BranchMaking } from './branches.js';
import { ComputeBook } from './compute-book.js';
import { ComputeSpecs } from './compute-spec.js';
import { type ConnectionChoice, Connections } from './connections.js';
import { controlError } from './control-errors.js';
import type { DaemonFacts } from './daemon-facts.js';
import { BranchEvents } from './events/branch-events.js';
import type { EventLog, EventQuery } from './events/event-log.js';
import { type ExpirySettings, expiryDefaults } from './expiry/expiry-settings.js';
import { Reaper } from './expiry/reaper.js';
import { BranchDeletion } from './lifecycle/branch-deletion.js';
import { BranchMoves } from './lifecycle/branch-moves.js';
import { Checkpoints } from './lifecycle/checkpoints.js';
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
import { TenantBytes } from './quota/tenant-bytes.js';
import { WriteAccounts } from './quota/write-accounts.js';
import { type QuotaSettings, quotaDefaults, WriteQuotas } from './quota/write-quotas.js';
import type { BranchSurroundings } from './sleep/branch-surroundings.js';
import { type Clock, systemClock } from './sleep/clock.js';
import { ComputeCounters } from './sleep/compute-counters.js';
import { ComputeRoom } from './sleep/compute-room.js';
import { resolveWakeSettings, type WakeSettings } from './sleep/wake-settings.js';
import { SnapshotTaker } from './snapshots/snapshot-taker.js';
import { statusView } from './status-view.js';
import { Tenants } from './tenants.js';

export type { DaemonFacts } from './daemon-facts.js';

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
  access?: Partial<AccessSettings> | undefined;
  expiry?: Partial<ExpirySettings> | undefined;
  /** Where what becomes of branches is written down; undefined: nowhere. The caller closes it. */
  events?: EventLog | undefined;
  clock?: Clock | undefined;
  onComputeCrash(branch: string, end: ComputeEnd): void;
  /** Something that nobody waits for has failed. */
  onTrouble?: ((message: string, facts: { branch: string; error: unknown }) => void) | undefined;
}

/** Tenants, branches and computes as the management API shows them, and branches as a gateway opens them. */
export class ControlPlane implements BranchHost {
  /** Of all that the control plane knows; others add theirs. */
  readonly metrics = new Metrics();
  /** Of the management API, besides the data directory's own. */
  readonly tokens: TokenKeeper;
  readonly access: AccessSettings;
  readonly #pageServer: PageServer;
  readonly #facts: DaemonFacts;
  readonly #driver: ComputeDriver;
  readonly #wake: WakeSettings;
  readonly #room: ComputeRoom;
  readonly #computes: ComputeBook;
  readonly #views: BranchViews;
  readonly #tenants: Tenants;
  readonly #branches: Branches;
  readonly #connections: Connections;
  readonly #operations: OperationBook;
  readonly #roles: RoleKeeper;
  readonly #roleCalls: BranchRoleCalls;
  readonly #quotas: WriteQuotas;
  readonly #bytes: TenantBytes;
  readonly #events: BranchEvents;
  readonly #eventLog: EventLog | undefined;
  readonly #reaper: Reaper;
  readonly #moves: BranchMoves;
  readonly #checkpoints: Checkpoints;
  readonly #snapshots: SnapshotTaker;
  readonly #clock: Clock;
  #closing: Promise<void> | undefined;

  constructor(options: ControlPlaneOptions) {
    const { pageServer, driver, facts } = options;
    this.access = { ...accessDefaults, ...options.access };
    this.tokens = new TokenKeeper(pageServer.catalog, this.access, (error) =>
      options.onTrouble?.('when tokens were last used was not written down', { branch: '', error }),
    );
    this.#pageServer = pageServer;
    this.#facts = facts;
    this.#driver = driver;
    this.#wake = resolveWakeSettings(options.wake);
    const quota = { ...quotaDefaults, ...options.quota };
    const limits = new BranchLimits(driver.defaultSize, quota.writeBytesMax);
    const clock = options.clock ?? systemClock;
    this.#clock = clock;
    const { computesMax } = options;
    const { computesPerTenantMax } = quota;
    this.#room = new ComputeRoom({ ...this.#wake, computesMax, computesPerTenantMax }, clock, (tenant) =>
      tenantComputesFull(this.#catalog.tenant(tenant), computesPerTenantMax),
    );
    this.#bytes = new TenantBytes(pageServer, quota.storedBytesPerTenantMax, quota.storedCheckMs);
    const accounts = new WriteAccounts(pageServer, () => this.#computes, limits, this.#bytes);
    const specs = new ComputeSpecs(pageServer, () => this.#roles, accounts);
    this.#eventLog = options.events;
    const events = new BranchEvents(
      () => this.#catalog,
      clock,
      options.events,
      (branch, error) => options.onTrouble?.('an event was not written down', { branch, error }),
    );
    this.#events = events;
    this.#computes = new ComputeBook(this.#surroundings(options, clock, specs));
    this.#views = new BranchViews(() => this.#catalog, this.#computes, {
      nowMs: () => clock.now(),
      isTenantFull: (tenant) => this.#bytes.isFull(tenant),
      idleTimeoutSeconds: (branch) => this.#idleTimeoutSeconds(branch),
      sizeOf: (branch) => limits.sizeOf(branch),
      writeQuotaBytesOf: (branch) => limits.writeQuotaBytesOf(branch),
      writtenBytesOf: (branch) => accounts.written(branch),
    });
    this.#quotas = new WriteQuotas(
      { awake: () => this.#computes.awake(), branch: (id) => accounts.find(id) },
      quota,
    );
    this.#roles = new RoleKeeper(() => this.#catalog, this.#computes, this.#wake.roleTimeoutMs);
    this.#operations = new OperationBook({ endedMax: options.operationsEndedMax }, toProblem);
    this.#tenants = new Tenants(pageServer, this.#computes, this.#operations, events);
    this.#connections = new Connections(this.#catalog, this.#computes, facts);
    this.#roleCalls = new BranchRoleCalls(this.#catalog, this.#roles, this.#views, this.#connections);
    const deletion = new BranchDeletion(pageServer, this.#computes, this.#views, events, () =>
      this.#reaper.stir(),
    );
    this.#reaper = new Reaper({
      catalog: this.#catalog,
      clock,
      checkMs: { ...expiryDefaults, ...options.expiry }.checkMs,
      delete: (branch, now) => deletion.expire(branch, now),
      shut: (branch) => deletion.shut(branch),
      onTrouble: (branch, error) => reportUndeleted(options, branch?.name ?? '', error),
    });
    this.#checkpoints = new Checkpoints(pageServer, this.#computes, events, quota.checkpointsPerBranchMax);
    this.#snapshots = new SnapshotTaker({
      catalog: this.#catalog,
      clock,
      checkMs: { ...expiryDefaults, ...options.expiry }.checkMs,
      take: (branch, periodic) => this.#checkpoints.take(branch, periodic),
      onTrouble: (branch, error) =>
        options.onTrouble?.('a periodic checkpoint was not taken', { branch: branch?.name ?? '', error }),
    });
    const { branchesPerTenantMax: branchesMax } = quota;
    this.#moves = new BranchMoves({
      pageServer,
      computes: this.#computes,
      views: this.#views,
      clock,
      branchesMax,
      events,
    });
    this.#branches = new Branches({
      events,
      branchesMax,
      refuseMore: (tenant) => this.#bytes.refuseMore(tenant),
      onSnapshots: (branch) => this.#snapshots.changed(branch),
      deletion,
      clock,
      checkExpiry: () => this.#reaper.stir(),
      pageServer,
      computes: this.#computes,
      views: this.#views,
      limits,
      connections: this.#connections,
      checkQuotas: () => this.#quotas.check(),
    });
    this.#addMetrics();
    this.#reaper.stir();
    this.#snapshots.stir();
  }

  get #catalog() {
    return this.#pageServer.catalog;
  }

  importTenant(request: ImportTenantRequest): Operation {
    this.#expectOpen();
    return this.#tenants.import(request);
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

  tenants(): Promise<Tenant[]> {
    return this.#tenants.all();
  }

  tenant(name: string): Promise<Tenant> {
    return this.#tenants.one(name);
  }

  async deleteTenant(name: string): Promise<Tenant> {
    this.#expectOpen();
    return this.#tenants.delete(name);
  }

  async createBranch(request: CreateBranchRequest, making: BranchMaking = {}): Promise<CreatedBranch> {
    this.#expectOpen();
    return this.#branches.create(request, making);
  }

  async updateBranch(name: string, request: UpdateBranchRequest): Promise<Branch> {
    this.#expectOpen();
    return this.#branches.update(name, request);
  }

  /** Those that have all of the labels. */
  branches({ labels = {} }: { labels?: Readonly<Record<string, string>> } = {}): Branch[] {
    const wanted = Object.entries(labels);
    const all = this.#views.all();
    return wanted.length === 0
      ? all
      : all.filter((branch) => wanted.every(([label, value]) => branch.labels[label] === value));
  }

  branch(name: string): Branch {
    return this.#views.one(this.#catalog.branchNamed(parseBranchName(name)));
  }

  branchPage(page: BranchPage) {
    return this.#views.page(page);
  }

  /** Throws what `branchFor` throws. */
  branchFor(caller: Caller, name: string, access: BranchAccess): BranchRecord {
    return branchFor(caller, this.#catalog, parseBranchName(name), access);
  }

  findBranch(name: string): BranchRecord | undefined {
    return this.#catalog.findBranchNamed(parseBranchName(name));
  }

  /** What was made under an `Idempotency-Key`, and the branch while it is there. */
  madeUnder(key: string): { record: IdempotencyRecord; branch: BranchRecord | undefined } | undefined {
    const record = this.#catalog.idempotencyKey(key);
    return record && { record, branch: this.#catalog.findBranch(record.branch) };
  }

  /** With a password that is known to be the one of the branch's role. */
  credentials(branch: BranchRecord, password: string): BranchCredentials['credentials'] | undefined {
    return branch.role && this.#connections.withPassword(branch, branch.role, password);
  }

  /** `by`: whose call that is, for the event log. */
  async deleteBranch(
    name: string,
    options: { recursive?: boolean; by?: Actor } = {},
  ): Promise<DeletedBranch> {
    this.#expectOpen();
    return this.#branches.delete(name, options);
  }

  async renameBranch(name: string, { name: to }: RenameBranchRequest): Promise<Branch> {
    this.#expectOpen();
    return this.#branches.rename(name, to);
  }

  /** What has become of branches, the oldest first; those that are gone too. */
  async events(query: EventQuery): Promise<BranchEvent[]> {
    return (await this.#eventLog?.read(query)) ?? [];
  }

  async resetBranch(name: string, request: ResetBranchRequest): Promise<MovedBranch> {
    this.#expectOpen();
    return this.#moves.reset(name, request);
  }

  async restoreBranch(name: string, request: RestoreBranchRequest): Promise<MovedBranch> {
    this.#expectOpen();
    return this.#moves.restore(name, request);
  }

  checkpoints(branch: string): Checkpoint[] {
    return this.#checkpoints.list(branch);
  }

  async createCheckpoint(branch: string, request: CreateCheckpointRequest): Promise<Checkpoint> {
    this.#expectOpen();
    return this.#checkpoints.create(branch, request);
  }

  async deleteCheckpoint(branch: string, name: string): Promise<Checkpoint> {
    this.#expectOpen();
    return this.#checkpoints.delete(branch, name);
  }

  async createRole(name: string, request: RoleRequest): Promise<BranchCredentials> {
    this.#expectOpen();
    return this.#roleCalls.create(name, request);
  }

  async rotatePassword(name: string, request: RotatePasswordRequest): Promise<BranchCredentials> {
    this.#expectOpen();
    return this.#roleCalls.rotate(name, request);
  }

  async deleteRole(name: string): Promise<Branch> {
    this.#expectOpen();
    return this.#roleCalls.remove(name);
  }

  async startCompute(name: string): Promise<Compute> {
    this.#expectOpen();
    const branch = this.#catalog.branchNamed(parseBranchName(name));
    this.#refuseExpired(branch);
    return this.#computes.start(branch);
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
      this.#refuseExpired(branch);
      return await this.#computes.open(branch, options);
    } catch (error) {
      throw asOpenError(name, error);
    }
  }

  computes(): Compute[] {
    return this.#computes.list();
  }

  connectionString(name: string, choice: ConnectionChoice): ConnectionString {
    return this.#connections.to(this.#catalog.branchNamed(parseBranchName(name)), choice);
  }

  status(): Promise<Status> {
    return statusView({
      pageServer: this.#pageServer,
      facts: this.#facts,
      computes: this.#computes,
      room: this.#room,
      driver: this.#driver,
    });
  }

  /** Begins nothing new, cancels what is under way and ends all computes. A second call waits for the same end. */
  close(): Promise<void> {
    this.#quotas.close();
    this.#bytes.close();
    this.#closing ??= Promise.all([
      this.#reaper.close(),
      this.#snapshots.close(),
      this.#operations.cancelAll(),
      this.#computes.close(shuttingDown()),
      this.#driver.close(),
      this.tokens.close(),
    ]).then(() => undefined);
    return this.#closing;
  }

  #surroundings(
    { driver, onComputeCrash, onTrouble }: ControlPlaneOptions,
    clock: Clock,
    specs: ComputeSpecs,
  ): Omit<BranchSurroundings, 'onGone'> {
    const trouble = (id: BranchId, message: string) => (error: unknown) => {
      const branch = this.#catalog.findBranch(id);
      if (branch !== undefined) onTrouble?.(message, { branch: branch.name, error });
    };
    return {
      driver,
      room: this.#room,
      clock,
      settings: this.#wake,
      counters: new ComputeCounters(),
      observer: wakeObserver(this.metrics),
      specOf: async (id) => {
        this.#expectOpen();
        const branch = this.#catalog.findBranch(id);
        if (branch !== undefined) this.#refuseExpired(branch);
        return specs.of(id);
      },
      newestLsn: (id) => specs.newestLsn(id),
      idleTimeoutSeconds: (id) => this.#idleTimeoutSeconds(this.#catalog.findBranch(id)),
      recordRoles: (id, spec) =>
        this.#roles
          .noteApplied(id, spec)
          .catch(trouble(id, 'that a branch has its role was not written down')),
      recordUse: async (id, use) => {
        if (this.#catalog.findBranch(id) === undefined) return;
        await this.#catalog.recordUse(id, use).catch(trouble(id, 'the use of a branch was not written down'));
      },
      tell: (event, id, facts) => this.#events.tellOf(event, id, facts),
      onCrash: onComputeCrash,
      onUnanswered: (branch, error) =>
        onTrouble?.('a compute does not say whether there is work, and is not put to sleep', {
          branch,
          error,
        }),
    };
  }

  #addMetrics(): void {
    this.metrics.add(receiverMetrics(this.#pageServer));
    this.metrics.add(storeMetrics(this.#pageServer));
    this.metrics.add(computeMetrics(this.#computes, this.#pageServer));
    this.metrics.add(limitMetrics(this.#computes, this.#quotas, this.#driver.isolation));
    this.metrics.add(wakeMetrics(this.#computes, this.#room, () => this.#catalog.branchCount()));
  }

  #idleTimeoutSeconds(branch: BranchRecord | undefined): number {
    return branch?.idleTimeoutSeconds ?? this.#wake.idleTimeoutSeconds;
  }

  #refuseExpired(branch: BranchRecord): void {
    this.#catalog.refuseExpired(branch, new Date(this.#clock.now()));
  }

  #expectOpen(): void {
    if (this.#closing !== undefined) throw shuttingDown();
  }
}

function reportUndeleted({ onTrouble }: ControlPlaneOptions, branch: string, error: unknown): void {
  // What was given more time, or has branches by now, is as it should be.
  const { code } = asOffshootError(error);
  if (['branch_not_expired', 'branch_has_children', 'branch_not_found', 'branch_protected'].includes(code))
    return;
  onTrouble?.('a branch that has expired was not deleted, and is tried again', { branch, error });
}

function tenantComputesFull({ name }: TenantRecord, max: number) {
  return catalogError(
    'quota_reached',
    `tenant ${name} has ${max} computes awake, as many as it may (computesPerTenantMax ${max}), and all are in use`,
    {
      details: {
        action:
          'close connections, stop a compute (pageserver-ctl compute list), or raise the setting computesPerTenantMax',
      },
    },
  );
}

function shuttingDown() {
  return controlError('shutting_down', 'the page server is shutting down');
}

function noOperation(id: string): never {
  throw controlError(
    'operation_not_found',
    `there is no operation ${id}; the oldest ended ones are forgotten`,
  );
}
