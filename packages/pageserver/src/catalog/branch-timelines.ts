import type { BranchName, Lsn, TimelineId } from '@offshoot/types';
import { formatLsn } from '@offshoot/types';
import { catalogError } from './catalog-errors.js';
import type { CatalogTables } from './catalog-tables.js';
import type { BranchId, BranchRecord, TimelineRecord } from './records.js';
import { addToTenantCount, hold, letGo } from './timeline-holds.js';

/** A branch and the timeline that it names. */
export interface BranchWithTimeline {
  readonly branch: BranchRecord;
  readonly timeline: TimelineRecord;
}

/** A branch that is gone, or names another timeline, and the timelines that nothing holds any more. */
export interface RemovedTimelines {
  readonly branch: BranchRecord;
  readonly removed: readonly TimelineRecord[];
}

/** An LSN of a timeline; `held`: who asks sees to it that it can be read, be it before where reading begins. */
export interface PointOfTimeline {
  readonly lsn: Lsn;
  readonly held?: boolean | undefined;
}

// What is below runs inside a transaction.

/** Where a new timeline leaves one that is there. Throws `branch_point_out_of_range`. */
export function historyFrom(
  { name }: Pick<BranchRecord, 'name'>,
  parent: TimelineRecord,
  { lsn: ancestorLsn, held = false }: PointOfTimeline,
): Pick<TimelineRecord, 'tenant' | 'parent' | 'readableFrom' | 'lastRecordLsn'> {
  if (!held && ancestorLsn < parent.readableFrom) {
    const from = formatLsn(parent.readableFrom);
    throw catalogError(
      'branch_point_out_of_range',
      `branch ${name} can be read from ${from} on, not at ${formatLsn(ancestorLsn)}`,
    );
  }
  return {
    tenant: parent.tenant,
    parent: { timeline: parent.id, ancestorLsn },
    readableFrom: ancestorLsn,
    lastRecordLsn: ancestorLsn,
  };
}

export function putTimeline(tables: CatalogTables, timeline: TimelineRecord): void {
  const { id, parent } = timeline;
  tables.timelines.put(id, timeline);
  if (parent !== undefined) hold(tables, [parent.timeline, 'child', id], parent.ancestorLsn);
}

export function putNewBranch(tables: CatalogTables, branch: BranchRecord): void {
  const { id, name, parent, timeline, tenant } = branch;
  tables.branchNames.put(name, id);
  if (parent !== undefined) tables.children.put([parent, id], name);
  hold(tables, [timeline, 'branch', id]);
  addToTenantCount(tables, tenant, 1);
  putBranch(tables, undefined, branch);
}

/** In place of how it was before; its name, parent and timeline are the same. */
export function putBranch(
  { branches, expiries }: CatalogTables,
  before: BranchRecord | undefined,
  branch: BranchRecord,
): void {
  if (before?.expiresAt !== branch.expiresAt) {
    if (before?.expiresAt !== undefined) expiries.remove([before.expiresAt, branch.id]);
    if (branch.expiresAt !== undefined) expiries.put([branch.expiresAt, branch.id], branch.name);
  }
  branches.put(branch);
}

/** With its checkpoints; answers the timelines that nothing holds any more. */
export function removeBranch(tables: CatalogTables, branch: BranchRecord): TimelineRecord[] {
  const { branches, branchNames, children, expiries, checkpoints } = tables;
  const { id, expiresAt } = branch;
  branches.remove(id);
  branchNames.remove(branch.name);
  if (branch.parent !== undefined) children.remove([branch.parent, id]);
  if (expiresAt !== undefined) expiries.remove([expiresAt, id]);
  addToTenantCount(tables, branch.tenant, -1);
  const removed: TimelineRecord[] = [];
  for (const { key, value } of [...checkpoints.getRange(checkpointsOf(id))]) {
    checkpoints.remove(key);
    removed.push(...letGo(tables, [value.timeline, 'checkpoint', `${id}/${value.name}`]));
  }
  return [...removed, ...letGo(tables, [branch.timeline, 'branch', id])];
}

export function renameBranch(tables: CatalogTables, before: BranchRecord, name: BranchName): BranchRecord {
  const { branchNames, children, expiries, branches } = tables;
  const branch = { ...before, name };
  branchNames.remove(before.name);
  branchNames.put(name, branch.id);
  if (branch.parent !== undefined) children.put([branch.parent, branch.id], name);
  if (branch.expiresAt !== undefined) expiries.put([branch.expiresAt, branch.id], name);
  branches.put(branch);
  return branch;
}

/** Lets a branch name another timeline; `rolesApplied` and the WAL that was counted are those of the one before. */
export function pointBranchAt(
  tables: CatalogTables,
  before: BranchRecord,
  timeline: TimelineId,
): RemovedTimelines {
  const { rolesApplied: _, ...rest } = before;
  const { wal: __, ...use } = rest.use ?? { wakes: 0 };
  const branch: BranchRecord = { ...rest, timeline, use };
  putBranch(tables, before, branch);
  hold(tables, [timeline, 'branch', branch.id]);
  return { branch, removed: letGo(tables, [before.timeline, 'branch', branch.id]) };
}

/** Ids are hexadecimal and names begin with a letter or digit: `~` sorts behind them. */
export function checkpointsOf(id: BranchId): { start: [BranchId, string]; end: [BranchId, string] } {
  return { start: [id, ''], end: [id, '~'] };
}
