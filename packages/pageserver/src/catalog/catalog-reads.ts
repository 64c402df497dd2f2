import type { BranchName, TenantId, TenantName, TimelineId } from '@offshoot/types';
import { catalogError } from './catalog-errors.js';
import type { CatalogTables } from './catalog-tables.js';
import type { BranchId, BranchRecord, TenantRecord, TimelineRecord } from './records.js';

/** Branches that a refusal names; there may be thousands. */
const CHILDREN_NAMED_MAX = 5;

/** What can be asked of the catalog. Synchronous; each answer is that of the last commit. */
export class CatalogReads {
  protected readonly tables: CatalogTables;

  protected constructor(tables: CatalogTables) {
    this.tables = tables;
  }

  tenants(): TenantRecord[] {
    return [...this.tables.tenants.getRange()].map(({ value }) => value);
  }

  /** All timelines of a tenant, parents before children. */
  timelines(tenant: TenantId): TimelineRecord[] {
    const all = [...this.tables.timelines.getRange()].map(({ value }) => value);
    return all.filter((timeline) => timeline.tenant === tenant).sort((a, b) => a.index - b.index);
  }

  branches(): BranchRecord[] {
    return [...this.tables.branches.getRange()].map(({ value }) => value);
  }

  /** Grows with each commit. What is read after it was asked for is of that commit or a later one. */
  version(): number {
    const { lastTxnId } = this.tables.root.getStats() as Record<string, number>;
    // The snapshot that this turn of the event loop reads from may be older.
    this.tables.root.resetReadTxn();
    return lastTxnId ?? 0;
  }

  /** How many branches there are in all; looks at none of them. */
  branchCount(): number {
    const { entryCount } = this.tables.branches.getStats() as Record<string, number>;
    return entryCount ?? 0;
  }

  /** How many branches each tenant has that has any: one pass over all of them. */
  branchCounts(): ReadonlyMap<TenantId, number> {
    const counts = new Map<TenantId, number>();
    for (const { value } of this.tables.branches.getRange()) {
      counts.set(value.tenant, (counts.get(value.tenant) ?? 0) + 1);
    }
    return counts;
  }

  /** The timeline that the tenant's import made; undefined before the import is whole. */
  rootTimeline({ id, name }: TenantRecord): TimelineRecord | undefined {
    const branchId = this.tables.branchNames.get(name);
    const branch = branchId === undefined ? undefined : this.tables.branches.get(branchId);
    return branch?.tenant === id ? this.tables.timelines.get(branch.timeline) : undefined;
  }

  findTenant(id: TenantId): TenantRecord | undefined {
    return this.tables.tenants.get(id);
  }

  findTenantNamed(name: TenantName): TenantRecord | undefined {
    const id = this.tables.tenantNames.get(name);
    return id === undefined ? undefined : this.tables.tenants.get(id);
  }

  findTimeline(id: TimelineId): TimelineRecord | undefined {
    return this.tables.timelines.get(id);
  }

  findBranch(id: BranchId): BranchRecord | undefined {
    return this.tables.branches.get(id);
  }

  findBranchNamed(name: BranchName): BranchRecord | undefined {
    const id = this.tables.branchNames.get(name);
    return id === undefined ? undefined : this.tables.branches.get(id);
  }

  /** Throws `tenant_not_found`. */
  tenant(id: TenantId): TenantRecord {
    return this.findTenant(id) ?? notFound('tenant', id);
  }

  /** Throws `tenant_not_found`. */
  tenantNamed(name: TenantName): TenantRecord {
    return this.findTenantNamed(name) ?? notFound('tenant', name);
  }

  /** Throws `branch_not_found`. */
  branchNamed(name: BranchName): BranchRecord {
    return this.findBranchNamed(name) ?? notFound('branch', name);
  }

  /** Throws `timeline_not_found`. */
  timeline(id: TimelineId): TimelineRecord {
    return this.findTimeline(id) ?? notFound('timeline', id);
  }

  /** Names of the branches made from one, as many as asked for. */
  childNames(id: BranchId, limit = Number.POSITIVE_INFINITY): string[] {
    return [...this.tables.children.getRange({ ...childrenOf(id), limit })].map(({ value }) => value);
  }

  childCount(id: BranchId): number {
    return this.tables.children.getKeysCount(childrenOf(id));
  }

  /** Throws `name_taken` when a tenant or branch has that name. */
  refuseTakenName(name: TenantName | BranchName): void {
    if (this.tables.tenantNames.get(name) !== undefined) {
      throw catalogError('name_taken', `there is already a tenant named ${name}`);
    }
    if (this.tables.branchNames.get(name) !== undefined) {
      throw catalogError('name_taken', `there is already a branch named ${name}`);
    }
  }

  /** Throws `branch_has_children` and `branch_is_root`. */
  refuseUndeletable(branch: BranchRecord): void {
    const children = this.childNames(branch.id, CHILDREN_NAMED_MAX);
    if (children.length > 0) {
      const count = this.childCount(branch.id);
      const more = count > children.length ? ` and ${count - children.length} more` : '';
      throw catalogError(
        'branch_has_children',
        `branch ${branch.name} has branches of its own, delete them first: ${children.join(', ')}${more}`,
        { details: { children: children.join(','), children_count: count } },
      );
    }
    if (branch.parent === undefined) {
      throw catalogError(
        'branch_is_root',
        `branch ${branch.name} is what tenant ${branch.name} was imported as: delete the tenant instead`,
      );
    }
  }

  /** Bytes of the catalog's file that are in use. */
  usedBytes(): number {
    const { lastPageNumber, pageSize } = this.tables.root.getStats() as Record<string, number>;
    return ((lastPageNumber ?? 0) + 1) * (pageSize ?? 0);
  }
}

/** Keys of a branch's children: ids are hexadecimal, so `~` sorts behind every child. */
function childrenOf(id: BranchId): { start: [BranchId, BranchId]; end: [BranchId, BranchId] } {
  return { start: [id, '' as BranchId], end: [id, '~' as BranchId] };
}

/** Throws the `_not_found` error of its kind. */
export function notFound(what: 'tenant' | 'branch' | 'timeline', name: string): never {
  throw catalogError(`${what}_not_found`, `${what} ${name} does not exist`);
}
