import type {
  Branch,
  BranchCredentials,
  BranchEvent,
  BranchLifeRecord,
  BranchStorage,
  Checkpoint,
  Checkup,
  CheckupRequest,
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
  UpdateTenantRequest,
} from '@offshoot/client';
import type { BranchHost, OpenBranch, OpenOptions } from '@offshoot/gateway';
import type {
  Actor,
  BranchId,
  BranchRecord,
  IdempotencyRecord,
  NewIdempotencyKey,
} from '@offshoot/pageserver';
import { type Lsn, parseBranchName, type TimelineId } from '@offshoot/types';
import { type AccessSettings, accessDefaults } from './access/access-settings.js';
import { type BranchAccess, branchFor, type Caller } from './access/caller.js';
import { TokenKeeper } from './access/token-keeper.js';
import { asOpenError, branchNameOfClient, refuseLoading } from './branch-errors.js';
import type { BranchPage } from './branch-views.js';
import type { BranchMaking } from './branches.js';
import { machineChecks } from './checkup/machine-checks.js';
import { checkView } from './checkup/source-checks.js';
import type { ConnectionChoice } from './connections.js';
import { controlError } from './control-errors.js';
import type { ControlPlaneOptions } from './control-options.js';
import { type ControlParts, composeParts } from './control-parts.js';
import type { DatabaseLoads } from './databases/database-loads.js';
import { TemplateKeeper } from './databases/template-keeper.js';
import type { EventQuery } from './events/event-log.js';
import { livingRecord, recordOfEnd } from './lifecycle/branch-record.js';
import { Metrics } from './metrics/index.js';
import { storageView } from './retention-views.js';
import { statusView } from './status-view.js';

export type { ControlPlaneOptions } from './control-options.js';
export type { DaemonFacts } from './daemon-facts.js';

/** A call's key; what is done knows the answer. */
export type CallWritten = Omit<NewIdempotencyKey, 'answer'>;

/** A source that does not answer has made itself known before. */
const CHECKUP_MS_MAX = 60_000;

/** Tenants, branches and computes as the management API shows them, and branches as a gateway opens them. */
export class ControlPlane implements BranchHost {
  /** Of all that the control plane knows; others add theirs. */
  readonly metrics = new Metrics();
  /** Of the management API, besides the data directory's own. */
  readonly tokens: TokenKeeper;
  readonly access: AccessSettings;
  readonly #options: ControlPlaneOptions;
  readonly #parts: ControlParts;
  readonly #template: TemplateKeeper;
  #closing: Promise<void> | undefined;

  constructor(options: ControlPlaneOptions) {
    this.#options = options;
    this.access = { ...accessDefaults, ...options.access };
    this.tokens = new TokenKeeper(options.pageServer.catalog, this.access, (error) =>
      options.onTrouble?.('when tokens were last used was not written down', { branch: '', error }),
    );
    this.#template = new TemplateKeeper(options.pageServer, options.template);
    this.#parts = composeParts(options, this.metrics, () => this.#expectOpen());
    this.#parts.reaper.stir();
    this.#parts.snapshots.stir();
  }

  /** Deletes what a former daemon was loading dumps into when it ended: nobody can use it. */
  discardUnloaded(): void {
    this.#parts.loads.sweep();
  }

  get #catalog() {
    return this.#options.pageServer.catalog;
  }

  /** LSNs of a timeline that computes read at. */
  keptFor(timeline: TimelineId): Lsn[] {
    return this.#parts.bases.of(timeline);
  }

  importTenant(request: ImportTenantRequest): Operation {
    this.#expectOpen();
    return this.#parts.tenants.import(request);
  }

  operations(): Operation[] {
    return this.#parts.operations.list();
  }

  /** `by`: only if that has begun it. Throws `operation_not_found`. */
  operation(id: string, by?: Actor): Operation {
    return this.#parts.operations.get(id, by) ?? noOperation(id);
  }

  /** See {@link operation}. */
  async cancelOperation(id: string, by?: Actor): Promise<Operation> {
    this.operation(id, by);
    return (await this.#parts.operations.cancel(id)) ?? noOperation(id);
  }

  tenants(): Promise<Tenant[]> {
    return this.#parts.tenants.all();
  }

  tenant(name: string): Promise<Tenant> {
    return this.#parts.tenants.one(name);
  }

  async updateTenant(name: string, request: UpdateTenantRequest): Promise<Tenant> {
    this.#expectOpen();
    return this.#parts.tenants.update(name, request);
  }

  collectGarbage(name: string): Operation {
    this.#expectOpen();
    return this.#parts.tenants.collectGarbage(name);
  }

  async deleteTenant(name: string): Promise<Tenant> {
    this.#expectOpen();
    return this.#parts.tenants.delete(name);
  }

  async createBranch(request: CreateBranchRequest, making: BranchMaking = {}): Promise<CreatedBranch> {
    this.#expectOpen();
    return this.#parts.watch('create', () => this.#parts.branches.create(request, making));
  }

  /** What new databases start from is there when it resolves; how long that took, if it was not. */
  async ensureTemplate(): Promise<number | undefined> {
    this.#expectOpen();
    return this.#template.ensure();
  }

  /** Loads of dumps into new databases. */
  get loads(): DatabaseLoads {
    return this.#parts.loads;
  }

  async updateBranch(name: string, request: UpdateBranchRequest): Promise<Branch> {
    this.#expectOpen();
    return this.#parts.watch('update', () => this.#parts.branches.update(name, request));
  }

  /** Those that have all of the labels. */
  branches({ labels = {} }: { labels?: Readonly<Record<string, string>> } = {}): Branch[] {
    const wanted = Object.entries(labels);
    const all = this.#parts.views.all();
    return wanted.length === 0
      ? all
      : all.filter((branch) => wanted.every(([label, value]) => branch.labels[label] === value));
  }

  branch(name: string): Branch {
    return this.#parts.views.one(this.#catalog.branchNamed(parseBranchName(name)));
  }

  /** Also of one that is gone, as long as its end is in the event log. Throws `branch_not_found`. */
  async branchRecord(name: string): Promise<BranchLifeRecord> {
    const branch = parseBranchName(name);
    if (this.#catalog.findBranchNamed(branch) ?? this.#catalog.findBranch(name as BranchId)) {
      return livingRecord(this.branch(name));
    }
    const ends = await this.events({ branch: name, event: 'deleted', limit: 1 });
    return ends.map(recordOfEnd).at(-1) ?? livingRecord(this.branch(name));
  }

  branchStorage(name: string): Promise<BranchStorage> {
    const branch = this.#catalog.branchNamed(parseBranchName(name));
    return storageView(this.#options.pageServer, branch, this.#parts.views.one(branch).written_bytes);
  }

  branchPage(page: BranchPage) {
    return this.#parts.views.page(page);
  }

  /** Throws what `branchFor` throws. */
  branchFor(caller: Caller, name: string, access: BranchAccess): BranchRecord {
    return branchFor(caller, this.#catalog, parseBranchName(name), access);
  }

  findBranch(name: string): BranchRecord | undefined {
    return this.#catalog.findBranchNamed(parseBranchName(name));
  }

  /** Whatever it is called by now. */
  branchOf(id: string): BranchRecord | undefined {
    return this.#catalog.findBranch(id as BranchRecord['id']);
  }

  /** What was done under an `Idempotency-Key`, and the branch while it is there. */
  madeUnder(key: string): { record: IdempotencyRecord; branch: BranchRecord | undefined } | undefined {
    const record = this.#catalog.idempotencyKey(key);
    return record && { record, branch: this.#catalog.findBranch(record.branch) };
  }

  /** With a password that is known to be the one of the branch's role. */
  credentials(
    branch: BranchRecord,
    password: string,
    database?: string,
  ): BranchCredentials['credentials'] | undefined {
    return branch.role && this.#parts.connections.withPassword(branch, branch.role, password, database);
  }

  /** `by`: whose call that is, for the event log. */
  async deleteBranch(
    name: string,
    options: { recursive?: boolean; by?: Actor } = {},
  ): Promise<DeletedBranch> {
    this.#expectOpen();
    return this.#parts.watch('delete', () => this.#parts.branches.delete(name, options));
  }

  /** `key`: becomes known with what is done. */
  async renameBranch(name: string, { name: to }: RenameBranchRequest, key?: CallWritten): Promise<Branch> {
    this.#expectOpen();
    return this.#parts.watch('rename', () => this.#parts.branches.rename(name, to, key));
  }

  /** What has become of branches, the oldest first; those that are gone too. */
  async events(query: EventQuery): Promise<BranchEvent[]> {
    return (await this.#options.events?.read(query)) ?? [];
  }

  /** `key` as in `renameBranch`. */
  async resetBranch(name: string, request: ResetBranchRequest, key?: CallWritten): Promise<MovedBranch> {
    this.#expectWhole(name);
    return this.#parts.watch('reset', () => this.#parts.moves.reset(name, request, key));
  }

  /** `key` as in `renameBranch`. */
  async restoreBranch(name: string, request: RestoreBranchRequest, key?: CallWritten): Promise<MovedBranch> {
    this.#expectWhole(name);
    return this.#parts.watch('restore', () => this.#parts.moves.restore(name, request, key));
  }

  checkpoints(branch: string): Checkpoint[] {
    return this.#parts.checkpoints.list(branch);
  }

  /** `key` as in `renameBranch`. */
  async createCheckpoint(
    branch: string,
    request: CreateCheckpointRequest,
    key?: CallWritten,
  ): Promise<Checkpoint> {
    this.#expectWhole(branch);
    return this.#parts.watch('checkpoint', () => this.#parts.checkpoints.create(branch, request, key));
  }

  async deleteCheckpoint(branch: string, name: string): Promise<Checkpoint> {
    this.#expectOpen();
    return this.#parts.checkpoints.delete(branch, name);
  }

  async createRole(name: string, request: RoleRequest): Promise<BranchCredentials> {
    this.#expectWhole(name);
    return this.#parts.roleCalls.create(name, request);
  }

  async rotatePassword(name: string, request: RotatePasswordRequest): Promise<BranchCredentials> {
    this.#expectWhole(name);
    return this.#parts.roleCalls.rotate(name, request);
  }

  async deleteRole(name: string): Promise<Branch> {
    this.#expectWhole(name);
    return this.#parts.roleCalls.remove(name);
  }

  async startCompute(name: string): Promise<Compute> {
    this.#expectWhole(name);
    const branch = this.#catalog.branchNamed(parseBranchName(name));
    this.#parts.expectUsable(branch);
    return this.#parts.computes.start(branch);
  }

  /** At once: sessions end, and are counted. */
  async stopCompute(name: string): Promise<StoppedCompute> {
    const branch = this.#catalog.branchNamed(parseBranchName(name));
    const { compute, connectionsEnded } = await this.#parts.computes.stop(branch);
    return { ...compute, connections_ended: connectionsEnded };
  }

  async open(name: string, options: OpenOptions): Promise<OpenBranch> {
    try {
      this.#expectOpen();
      const branch = this.#catalog.branchNamed(branchNameOfClient(name));
      refuseLoading(branch);
      this.#parts.expectUsable(branch);
      return await this.#parts.computes.open(branch, options);
    } catch (error) {
      throw asOpenError(name, error);
    }
  }

  computes(): Compute[] {
    return this.#parts.computes.list();
  }

  connectionString(name: string, choice: ConnectionChoice): ConnectionString {
    return this.#parts.connections.to(this.#catalog.branchNamed(parseBranchName(name)), choice);
  }

  status(): Promise<Status> {
    const { computes, room } = this.#parts;
    return statusView({ ...this.#options, computes, room });
  }

  /** Looks over the machine, and over a Postgres that is to be imported. Throws `source_url_invalid`. */
  async checkUp({ source_url: url }: CheckupRequest): Promise<Checkup> {
    const { pageServer } = this.#options;
    const [machine, source] = await Promise.all([
      this.status().then(machineChecks),
      url === undefined ? undefined : pageServer.checkSource(url, AbortSignal.timeout(CHECKUP_MS_MAX)),
    ]);
    return { machine, ...(source === undefined ? {} : { source: source.map(checkView) }) };
  }

  /** Begins nothing new, cancels what is under way and ends all computes. A second call waits for the same end. */
  close(): Promise<void> {
    this.#parts.quotas.close();
    this.#parts.bytes.close();
    this.#closing ??= Promise.all([
      this.#template.close(),
      this.#parts.reaper.close(),
      this.#parts.snapshots.close(),
      this.#parts.operations.cancelAll(),
      this.#parts.computes.close(shuttingDown()),
      this.#options.driver.close(),
      this.tokens.close(),
    ]).then(() => undefined);
    return this.#closing;
  }

  #expectWhole(name: string): void {
    this.#expectOpen();
    const branch = this.findBranch(name) ?? this.branchOf(name);
    if (branch !== undefined) refuseLoading(branch);
  }

  #expectOpen(): void {
    if (this.#closing !== undefined) throw shuttingDown();
  }
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
