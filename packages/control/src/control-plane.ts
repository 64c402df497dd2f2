import type {
  Branch,
  Compute,
  ConnectionString,
  CreateBranchRequest,
  CreatedBranch,
  ImportTenantRequest,
  Operation,
  Status,
  Tenant,
} from '@offshoot/client';
import type { ComputeDriver, ComputeEnd, ConnectAs } from '@offshoot/compute';
import type { BranchRecord, PageServer, PageServerStats, TenantRecord } from '@offshoot/pageserver';
import { type BranchName, formatLsn, parseBranchName, parseTenantName } from '@offshoot/types';
import { ComputeBook } from './compute-book.js';
import { connectionUrl } from './connection-url.js';
import { controlError } from './control-errors.js';
import { OperationBook } from './operations.js';
import { toProblem } from './problem.js';

/** What the daemon tells of itself. */
export interface DaemonFacts {
  version: string;
  pid: number;
  dataDirectory: string;
  startedAt: Date;
  pageService(): Status['page_service'];
}

export interface ControlPlaneOptions {
  pageServer: PageServer;
  driver: ComputeDriver;
  facts: DaemonFacts;
  /** Ended operations that stay readable. */
  operationsEndedMax: number;
  onComputeCrash(branch: string, end: ComputeEnd): void;
}

/** Tenants, branches and computes as the management API shows them. */
export class ControlPlane {
  readonly #pageServer: PageServer;
  readonly #facts: DaemonFacts;
  readonly #computes: ComputeBook;
  readonly #operations: OperationBook;

  constructor(options: ControlPlaneOptions) {
    this.#pageServer = options.pageServer;
    this.#facts = options.facts;
    this.#computes = new ComputeBook(options.driver, options.onComputeCrash);
    this.#operations = new OperationBook({ endedMax: options.operationsEndedMax }, toProblem);
  }

  get #catalog() {
    return this.#pageServer.catalog;
  }

  importTenant(request: ImportTenantRequest): Operation {
    const name = parseTenantName(request.name);
    this.#catalog.refuseTakenName(name);
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
    return this.#catalog.tenants().map((record) => this.#tenantView(record, stats));
  }

  async tenant(name: string): Promise<Tenant> {
    const tenant = this.#catalog.tenantNamed(parseTenantName(name));
    return this.#tenantView(tenant, await this.#pageServer.stats());
  }

  /** Stops the tenant's computes, then removes everything of it. */
  async deleteTenant(name: string): Promise<Tenant> {
    const tenant = this.#catalog.tenantNamed(parseTenantName(name));
    const view = this.#tenantView(tenant, await this.#pageServer.stats());
    const branches = this.#catalog.branches().filter((branch) => branch.tenant === tenant.id);
    await Promise.all(branches.map((branch) => this.#computes.retire(branch.name, async () => {})));
    await this.#pageServer.deleteTenant(tenant.name);
    return { ...view, state: 'deleting' };
  }

  async createBranch(request: CreateBranchRequest): Promise<CreatedBranch> {
    const began = performance.now();
    const name = parseBranchName(request.name);
    const parent = request.from === undefined ? this.#onlyTenant() : parseBranchName(request.from);
    const { branch } = await this.#pageServer.createBranch(name, parent);
    return { branch: this.#branchView(branch), timings_ms: { catalog: performance.now() - began } };
  }

  branches(): Branch[] {
    return this.#catalog.branches().map((record) => this.#branchView(record));
  }

  branch(name: string): Branch {
    return this.#branchView(this.#catalog.branchNamed(parseBranchName(name)));
  }

  /** Refused before its compute is touched when other branches start from it. */
  async deleteBranch(name: string): Promise<Branch> {
    const branch = this.#catalog.branchNamed(parseBranchName(name));
    this.#catalog.refuseUndeletable(branch);
    const view = this.#branchView(branch);
    await this.#computes.retire(branch.name, () => this.#pageServer.deleteBranch(branch.name));
    return { ...view, compute: 'stopped' };
  }

  startCompute(name: string): Promise<Compute> {
    const branch = this.#catalog.branchNamed(parseBranchName(name));
    if (branch.parent === undefined) {
      throw controlError('branch_without_compute', `branch ${branch.name} is production's own history`, {
        details: { action: `branch it first: pageserver-ctl branch create NAME --from ${branch.name}` },
      });
    }
    const timeline = this.#catalog.timeline(branch.timeline);
    return this.#computes.start(branch.name, {
      tenantId: branch.tenant,
      timelineId: timeline.id,
      baseLsn: timeline.lastRecordLsn,
      connectAs: connectCandidates(this.#catalog.tenant(branch.tenant)),
    });
  }

  async stopCompute(name: string): Promise<Compute> {
    return this.#computes.stop(this.#catalog.branchNamed(parseBranchName(name)).name);
  }

  computes(): Compute[] {
    return this.#computes.list();
  }

  connectionString(name: string, choice: { database?: string; user?: string }): ConnectionString {
    const branch = this.#catalog.branchNamed(parseBranchName(name));
    const { socketDirectory, port, connectedAs } = this.#computes.running(branch.name);
    const user = choice.user ?? connectedAs.user;
    const database = choice.database ?? connectedAs.database;
    const url = connectionUrl({ socketDirectory, port, user, database });
    return { url, host: socketDirectory, port, branch: branch.name, database, user };
  }

  async status(): Promise<Status> {
    const tenants = await this.tenants();
    return {
      version: this.#facts.version,
      pid: this.#facts.pid,
      data_directory: this.#facts.dataDirectory,
      started_at: this.#facts.startedAt.toISOString(),
      tenants: tenants.length,
      branches: this.#catalog.branches().length,
      computes_running: this.#computes.list().filter(({ state }) => state === 'running').length,
      stored_bytes: tenants.reduce((sum, tenant) => sum + (tenant.stored_bytes ?? 0), 0),
      page_service: this.#facts.pageService(),
    };
  }

  /** Cancels what is under way; the computes belong to the driver's close. */
  close(): Promise<void> {
    return this.#operations.cancelAll();
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

  #tenantView(record: TenantRecord, { tenants }: PageServerStats): Tenant {
    const root = this.#catalog.timelines(record.id)[0];
    const stats = tenants.get(record.id);
    return {
      id: record.id,
      name: record.name,
      state: record.state,
      created_at: record.createdAt,
      source_url: record.source.url,
      system_identifier: record.source.systemIdentifier,
      server_version: versionText(record.pgVersionNum),
      wal_segment_bytes: record.walSegmentBytes,
      data_checksums: record.dataChecksums === 'on',
      branches: this.#catalog.branches().filter((branch) => branch.tenant === record.id).length,
      ...(root === undefined
        ? {}
        : {
            readable_from_lsn: formatLsn(root.readableFrom),
            last_record_lsn: formatLsn(root.lastRecordLsn),
          }),
      ...(stats === undefined ? {} : { stored_bytes: stats.usedBytes }),
    };
  }

  #branchView(record: BranchRecord): Branch {
    const timeline = this.#catalog.timeline(record.timeline);
    const parent = record.parent === undefined ? undefined : this.#catalog.findBranch(record.parent);
    return {
      id: record.id,
      name: record.name,
      tenant: this.#catalog.tenant(record.tenant).name,
      timeline: record.timeline,
      base_lsn: formatLsn(timeline.parent?.ancestorLsn ?? timeline.readableFrom),
      created_at: record.createdAt,
      compute: this.#computes.state(record.name),
      ...(parent === undefined ? {} : { parent: parent.name }),
    };
  }
}

/** `postgres` and `template1` are there in nearly every cluster, should the source's database be closed. */
function connectCandidates(tenant: TenantRecord): ConnectAs[] {
  const databases = new Set([tenant.defaultDatabase, 'postgres', 'template1']);
  return [...databases].map((database) => ({ user: tenant.defaultUser, database }));
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
