import {
  type BranchName,
  TEMPLATE_NAME,
  type TenantId,
  type TenantName,
  type TimelineId,
} from '@offshoot/types';
import { branchProtected } from './branch-change.js';
import type { BranchChanges } from './branch-table.js';
import { checkpointsOf } from './branch-timelines.js';
import { catalogError } from './catalog-errors.js';
import type { CatalogTables } from './catalog-tables.js';
import type { BranchId, BranchRecord, CheckpointRecord, TenantRecord, TimelineRecord } from './records.js';
import { holdsOf, type KeptLsn, tenantCountKey } from './timeline-holds.js';

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
    return [...this.tables.branches.values()];
  }

  /** Which branches are not as they were at a position of before; without one, or when that is too long ago: any. */
  branchChanges(position: number | undefined): BranchChanges {
    this.refresh();
    return this.tables.branches.changesSince(position);
  }

  /** What is read after this is of the last commit: the snapshot that this turn of the event loop reads from may be older. */
  refresh(): void {
    this.tables.root.resetReadTxn();
  }

  /** How many branches there are in all; looks at none of them. */
  branchCount(): number {
    return this.tables.branches.count();
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

  /** By its name, else by its id. Throws `branch_not_found`. */
  branchNamed(name: BranchName): BranchRecord {
    return (
      this.findBranchNamed(name) ?? this.findBranch(name as string as BranchId) ?? notFound('branch', name)
    );
  }

  /** Throws `timeline_not_found`. */
  timeline(id: TimelineId): TimelineRecord {
    return this.findTimeline(id) ?? notFound('timeline', id);
  }

  /** How many branches a tenant has; looks at none of them. */
  branchCountOf(tenant: TenantId): number {
    return this.tables.meta.get(tenantCountKey(tenant)) ?? 0;
  }

  /**
   * The LSNs at which a timeline has to stay readable, beside its newest: where other timelines leave it, and its
   * checkpoints. In no order; one may be there several times.
   */
  keptLsns(timeline: TimelineId): KeptLsn[] {
    return [...this.tables.holds.getRange(holdsOf(timeline))].flatMap(({ key: [, by, who], value: lsn }) =>
      by === 'branch' ? [] : [{ lsn, by, who }],
    );
  }

  /** The branch that names a timeline; undefined: others need its history, and nobody can write to it any more. */
  branchOf(timeline: TimelineId): BranchRecord | undefined {
    const range = { start: [timeline, 'branch', ''], end: [timeline, 'branch', '~'] } as const;
    const [found] = [...this.tables.holds.getRange({ ...range, limit: 1 } as never)];
    return found && this.tables.branches.get(found.key[2] as BranchId);
  }

  /**
   * The branch's own history: the timeline that it names and those that it named before and went on from, the youngest
   * first, each up to where the next one leaves it. One that keeps another's former state has that one's history too.
   */
  ownTimelines({ timeline }: BranchRecord): TimelineRecord[] {
    const own: TimelineRecord[] = [];
    for (let each = this.findTimeline(timeline); each !== undefined; ) {
      own.push(each);
      const { parent, continues } = each;
      each = parent !== undefined && continues ? this.findTimeline(parent.timeline) : undefined;
    }
    return own;
  }

  /** A branch's checkpoints, the oldest first. */
  checkpoints(id: BranchId): CheckpointRecord[] {
    const all = [...this.tables.checkpoints.getRange(checkpointsOf(id))].map(({ value }) => value);
    return all.sort((a, b) => compare(a.createdAt, b.createdAt) || compare(a.name, b.name));
  }

  checkpointCount(id: BranchId): number {
    return this.tables.checkpoints.getKeysCount(checkpointsOf(id));
  }

  findCheckpoint(id: BranchId, name: string): CheckpointRecord | undefined {
    return this.tables.checkpoints.get([id, name]);
  }

  /** Throws `checkpoint_not_found`. */
  checkpoint({ id, name: branch }: Pick<BranchRecord, 'id' | 'name'>, name: string): CheckpointRecord {
    const found = this.findCheckpoint(id, name);
    if (found !== undefined) return found;
    throw catalogError('checkpoint_not_found', `branch ${branch} has no checkpoint ${name}`, {
      details: { action: `look which there are: pageserver-ctl checkpoint list ${branch}` },
    });
  }

  /** When the next branch expires later than a moment, or the first of all; undefined: none does. */
  nextExpiry(after?: Date): string | undefined {
    const start = [after?.toISOString() ?? '', '~'] as [string, BranchId];
    const [first] = [...this.tables.expiries.getKeys({ start, limit: 1 })];
    return first?.[0];
  }

  /** Branches whose time is over. */
  expired(now: Date): BranchRecord[] {
    const end = [now.toISOString(), '~'] as [string, BranchId];
    return [...this.tables.expiries.getKeys({ end })].flatMap(([, id]) => this.findBranch(id) ?? []);
  }

  /** Throws `branch_expired`. */
  refuseExpired(branch: BranchRecord, now: Date): void {
    if (!isExpired(branch, now)) return;
    throw catalogError('branch_expired', `branch ${branch.name} expired at ${branch.expiresAt}`, {
      details: { action: `give it more time: pageserver-ctl branch expire ${branch.name} --in 2h` },
    });
  }

  /** Throws what a reset or restore is refused with: `branch_is_root`, `branch_protected`, `branch_expired`. */
  refuseMove(branch: BranchRecord, now: Date): void {
    if (branch.parent === undefined) {
      throw catalogError(
        'branch_is_root',
        `branch ${branch.name} is production's own history, and goes its way`,
        { details: { action: `branch it instead: pageserver-ctl branch create NAME --from ${branch.name}` } },
      );
    }
    if (branch.protected) throw branchProtected(branch, 'is not reset or restored');
    this.refuseExpired(branch, now);
  }

  /** Throws `quota_reached` when one branch more would be too many; 0 or undefined: there may be any number. */
  refuseBranchOver(id: TenantId, max: number | undefined): void {
    const count = this.branchCountOf(id);
    if (max === undefined || max === 0 || count < max) return;
    const { name } = this.tenant(id);
    throw catalogError(
      'quota_reached',
      `tenant ${name} has ${count} branches, as many as it may (branchesPerTenantMax ${max})`,
      { details: { action: 'delete branches, or raise the setting branchesPerTenantMax', count, max } },
    );
  }

  /** Throws `quota_reached`. */
  refuseCheckpointOver({ id, name }: BranchRecord, max: number): void {
    const count = this.checkpointCount(id);
    if (count < max) return;
    throw catalogError(
      'quota_reached',
      `branch ${name} has ${count} checkpoints, as many as it may (checkpointsPerBranchMax ${max})`,
      { details: { action: 'delete checkpoints, or raise the setting checkpointsPerBranchMax', count, max } },
    );
  }

  /** Names of the branches made from one, as many as asked for. */
  childNames(id: BranchId, limit = Number.POSITIVE_INFINITY): string[] {
    return [...this.tables.children.getRange({ ...childrenOf(id), limit })].map(({ value }) => value);
  }

  /** The branches made from one. */
  childrenOf(id: BranchId): BranchRecord[] {
    return [...this.tables.children.getKeys(childrenOf(id))].flatMap(
      ([, child]) => this.findBranch(child) ?? [],
    );
  }

  childCount(id: BranchId): number {
    return this.tables.children.getKeysCount(childrenOf(id));
  }

  /** Throws `name_taken` when a tenant or branch has that name, or a branch that id. */
  refuseTakenName(name: TenantName | BranchName, who: 'anybody' | 'page server' = 'anybody'): void {
    if (name === TEMPLATE_NAME && who === 'anybody') {
      throw catalogError('name_taken', `${name} is the name of what new databases start from`);
    }
    if (this.tables.tenantNames.get(name) !== undefined) {
      throw catalogError('name_taken', `there is already a tenant named ${name}`);
    }
    if (
      this.tables.branchNames.get(name) !== undefined ||
      this.findBranch(name as string as BranchId) !== undefined
    ) {
      throw catalogError('name_taken', `there is already a branch named ${name}`);
    }
  }

  /** Throws `branch_has_children`, `branch_is_root` and `branch_protected`. */
  refuseUndeletable(branch: BranchRecord): void {
    this.#refuseParent(branch);
    this.refuseKept(branch);
  }

  /** Throws `branch_is_root` and `branch_protected`. */
  refuseKept(branch: BranchRecord): void {
    if (branch.parent === undefined) {
      throw catalogError(
        'branch_is_root',
        `branch ${branch.name} is what tenant ${branch.name} was imported as: delete the tenant instead`,
      );
    }
    if (branch.protected) throw branchProtected(branch, 'is not deleted');
  }

  #refuseParent(branch: BranchRecord): void {
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
  }

  /** Bytes of the catalog's file that no table has; LMDB's list of them is among these. */
  freeBytes(): number {
    const { root, ...tables } = this.tables;
    const used = [root, ...Object.values(tables)].reduce((sum, table) => sum + tableBytes(table), 0);
    return Math.max(0, this.usedBytes() - used);
  }

  /** Bytes of the catalog's file. */
  usedBytes(): number {
    const { lastPageNumber, pageSize } = this.tables.root.getStats() as Record<string, number>;
    return ((lastPageNumber ?? 0) + 1) * (pageSize ?? 0);
  }
}

function tableBytes(table: { getStats(): unknown }): number {
  const stats = table.getStats() as Record<string, number>;
  const pages = ['treeBranchPageCount', 'treeLeafPageCount', 'overflowPages'];
  return pages.reduce((sum, kind) => sum + (stats[kind] ?? 0), 0) * (stats.pageSize ?? 0);
}

/** Keys of a branch's children: ids are hexadecimal, so `~` sorts behind every child. */
function childrenOf(id: BranchId): { start: [BranchId, BranchId]; end: [BranchId, BranchId] } {
  return { start: [id, '' as BranchId], end: [id, '~' as BranchId] };
}

/** Its time is over. */
export function isExpired({ expiresAt }: Pick<BranchRecord, 'expiresAt'>, now: Date): boolean {
  return expiresAt !== undefined && Date.parse(expiresAt) <= now.getTime();
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Throws the `_not_found` error of its kind. */
export function notFound(what: 'tenant' | 'branch' | 'timeline', name: string): never {
  throw catalogError(`${what}_not_found`, `${what} ${name} does not exist`);
}
