import type { ImportTenantRequest, Operation, Tenant, UpdateTenantRequest } from '@offshoot/client';
import { catalogError, type PageServer, type TenantRecord } from '@offshoot/pageserver';
import { formatLsn, parseTenantName } from '@offshoot/types';
import { branchDeleted } from './branch-errors.js';
import type { ComputeBook } from './compute-book.js';
import type { BranchEvents } from './events/branch-events.js';
import { lifeFacts } from './lifecycle/branch-record.js';
import type { OperationBook } from './operations.js';
import { receiverView } from './receiver-view.js';
import { changeHistory, retentionView } from './retention-views.js';

/** Tenants as the management API shows them. */
export class Tenants {
  constructor(
    private readonly pageServer: PageServer,
    private readonly computes: Pick<ComputeBook, 'retire' | 'use'>,
    private readonly operations: OperationBook,
    private readonly events: BranchEvents,
  ) {}

  import(request: ImportTenantRequest): Operation {
    const name = parseTenantName(request.name);
    this.pageServer.refuseImport({ name, url: request.source_url });
    return this.operations.start('tenant_import', name, async ({ signal, progress }) => {
      await this.pageServer.importTenant({
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

  async all(): Promise<Tenant[]> {
    const stats = await this.pageServer.stats();
    return this.pageServer.catalog
      .tenants()
      .map((record) => this.#view(record, stats.tenants.get(record.id)));
  }

  async one(name: string): Promise<Tenant> {
    const { catalog } = this.pageServer;
    const { id } = catalog.tenantNamed(parseTenantName(name));
    const stats = await this.pageServer.statsOf(id);
    return this.#view(catalog.tenant(id), stats);
  }

  /** What history is kept of it, from the next round of garbage collection on. */
  async update(name: string, request: UpdateTenantRequest): Promise<Tenant> {
    const tenant = this.pageServer.catalog.tenantNamed(parseTenantName(name));
    await changeHistory(this.pageServer, tenant, request);
    return await this.one(name);
  }

  /** Removes now what nobody can read any more. */
  collectGarbage(name: string): Operation {
    const { id, name: tenant } = this.pageServer.catalog.tenantNamed(parseTenantName(name));
    const running = this.operations.running('gc', tenant);
    return (
      running ??
      this.operations.start('gc', tenant, async () => {
        await this.pageServer.collect(id);
      })
    );
  }

  /** Removes everything of a tenant: from the first moment on nothing new can be begun on it, then its computes end. */
  async delete(name: string): Promise<Tenant> {
    const view = await this.one(name);
    const { id: importing } = this.operations.running('tenant_import', view.name) ?? {};
    if (importing !== undefined) {
      throw catalogError('tenant_not_active', `tenant ${view.name} is being imported`, {
        details: { action: `cancel the import instead: pageserver-ctl operation cancel ${importing}` },
      });
    }
    this.#refuseKept(view);
    const left = await this.pageServer.deleteTenant(parseTenantName(view.name), async () => {
      const branches = this.pageServer.catalog.branches().filter((branch) => branch.tenant === view.id);
      const lives = new Map(
        branches.map((branch) => [branch.id, lifeFacts(branch, this.computes.use(branch))]),
      );
      await Promise.all(
        branches.map((branch) => this.computes.retire(branch, branchDeleted(branch.name), async () => {})),
      );
      for (const branch of branches) {
        this.events.tell('deleted', branch, { by: 'tenant', ...lives.get(branch.id) });
      }
    });
    return { ...view, state: 'deleting', ...(left === undefined ? {} : { left_on_source: left }) };
  }

  /** Throws `branch_protected`. */
  #refuseKept({ id, name }: Pick<Tenant, 'id' | 'name'>): void {
    const kept = this.pageServer.catalog
      .branches()
      .find((branch) => branch.tenant === id && branch.protected);
    if (kept === undefined) return;
    throw catalogError('branch_protected', `branch ${kept.name} of tenant ${name} is protected`, {
      details: { action: `if it may go too: pageserver-ctl branch unprotect ${kept.name}; then ask again` },
    });
  }

  #view(record: TenantRecord, stats: { readonly usedBytes: number } | undefined): Tenant {
    const root = this.pageServer.catalog.rootTimeline(record);
    const receiver = this.pageServer.receiverOf(record.id);
    const { needsReimport } = record;
    const unavailable = record.state === 'active' ? this.pageServer.unavailable(record.id) : undefined;
    return {
      id: record.id,
      name: record.name,
      state: unavailable === undefined ? record.state : 'unavailable',
      created_at: record.createdAt,
      ...(record.template ? {} : { source_url: record.source.url }),
      template: record.template === true,
      system_identifier: record.source.systemIdentifier,
      server_version: versionText(record.pgVersionNum),
      wal_segment_bytes: record.walSegmentBytes,
      data_checksums: record.dataChecksums === 'on',
      unsupported_records: [...(record.importStats?.unsupported ?? [])],
      branches: this.pageServer.catalog.branchCountOf(record.id),
      ...retentionView(this.pageServer, record),
      ...(root === undefined
        ? {}
        : {
            readable_from_lsn: formatLsn(root.readableFrom),
            last_record_lsn: formatLsn(this.pageServer.lastRecordLsnOf(record) ?? root.lastRecordLsn),
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

/** 150018 as 15.18. */
function versionText(versionNum: number): string {
  return `${Math.floor(versionNum / 10_000)}.${versionNum % 10_000}`;
}
