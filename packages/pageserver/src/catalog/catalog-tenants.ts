import type { BranchName, Lsn, TenantId } from '@offshoot/types';
import { type BranchWithTimeline, removeBranch } from './branch-timelines.js';
import { catalogError } from './catalog-errors.js';
import { CatalogWrites } from './catalog-writes.js';
import type { ImportStats, TenantHistory, TenantRecord } from './records.js';
import { tenantCountKey } from './timeline-holds.js';

/** A tenant's record as it is before its import; the catalog adds what it assigns. */
export type NewTenant = Omit<
  TenantRecord,
  'state' | 'rootIndex' | 'tli' | 'importStats' | 'failure' | 'createdAt' | 'needsReimport' | 'history'
>;

/** Where a tenant's history becomes readable and where it ends, after its import. */
export interface ImportedHistory {
  readonly readableFrom: Lsn;
  readonly lastRecordLsn: Lsn;
  readonly tli: number;
  readonly stats: ImportStats;
}

/** Tenants, from the reservation of their names to their removal. */
export class CatalogTenants extends CatalogWrites {
  /** Makes a tenant in state `importing`, and with that takes its name. */
  reserveTenant(tenant: NewTenant): Promise<TenantRecord> {
    const { tenants, tenantNames } = this.tables;
    return this.write(() => {
      this.refuseTakenName(tenant.name, tenant.template ? 'page server' : 'anybody');
      const createdAt = this.now().toISOString();
      const rootIndex = this.nextTimelineIndex();
      const record: TenantRecord = { ...tenant, state: 'importing', createdAt, rootIndex };
      tenants.put(record.id, record);
      tenantNames.put(record.name, record.id);
      return record;
    });
  }

  /** The import is whole: the tenant becomes active, with its first timeline and a branch of the tenant's name. */
  activateTenant(
    id: TenantId,
    { readableFrom, lastRecordLsn, tli, stats }: ImportedHistory,
  ): Promise<BranchWithTimeline> {
    return this.write(() => {
      const tenant = this.tenant(id);
      if (tenant.state !== 'importing') {
        throw catalogError('tenant_not_active', `tenant ${tenant.name} is not being imported`);
      }
      this.tables.tenants.put(id, { ...tenant, state: 'active', tli, importStats: stats });
      const history = { tenant: id, readableFrom, lastRecordLsn };
      return this.makeBranch(tenant.name as string as BranchName, history, tenant.rootIndex);
    });
  }

  /** What is not given becomes the daemon's setting. Throws `tenant_not_found`. */
  setTenantHistory(id: TenantId, history: TenantHistory): Promise<TenantRecord> {
    return this.write(() => {
      const changed = { ...this.tenant(id), history };
      this.tables.tenants.put(id, changed);
      return changed;
    });
  }

  /** From here on the tenant's branches cannot be used and the tenant can only be removed. */
  markTenantDeleting(id: TenantId): Promise<void> {
    return this.write(() => {
      this.tables.tenants.put(id, { ...this.tenant(id), state: 'deleting' });
    });
  }

  markTenantFailed(id: TenantId, failure: string): Promise<void> {
    return this.write(() => {
      this.tables.tenants.put(id, { ...this.tenant(id), state: 'failed', failure });
    });
  }

  /** The tenant cannot be followed any further; its slot is yet to be dropped. What was said first stays. */
  markNeedsReimport(
    id: TenantId,
    { code, message }: { code: string; message: string },
  ): Promise<TenantRecord> {
    return this.write(() => {
      const tenant = this.tenant(id);
      const since = this.now().toISOString();
      const needsReimport = tenant.needsReimport ?? { since, code, message, slot: 'to_be_dropped' };
      const marked = { ...tenant, needsReimport };
      this.tables.tenants.put(id, marked);
      return marked;
    });
  }

  /** The source does not have the slot any more of a tenant that needs to be imported again. */
  markSlotDropped(id: TenantId): Promise<void> {
    return this.write(() => {
      const tenant = this.tenant(id);
      if (tenant.needsReimport !== undefined) {
        const needsReimport = { ...tenant.needsReimport, slot: 'dropped' as const };
        this.tables.tenants.put(id, { ...tenant, needsReimport });
      }
    });
  }

  /** Removes a tenant's records; its files must be gone already. A tenant that is not there is no error. */
  removeTenant(id: TenantId): Promise<void> {
    const { tenants, tenantNames, timelines, meta } = this.tables;
    return this.write(() => {
      const tenant = tenants.get(id);
      if (tenant === undefined) {
        return;
      }
      for (const branch of this.branches().filter((each) => each.tenant === id)) {
        removeBranch(this.tables, branch);
      }
      for (const timeline of this.timelines(id)) {
        timelines.remove(timeline.id);
      }
      meta.remove(tenantCountKey(id));
      tenantNames.remove(tenant.name);
      tenants.remove(id);
    });
  }
}
