import type { Lsn, TenantId, TimelineId } from '@offshoot/types';
import type { CatalogTables, TimelineHold } from './catalog-tables.js';
import type { TimelineRecord } from './records.js';

/** An LSN of a timeline at which it has to stay readable. */
export interface KeptLsn {
  readonly lsn: Lsn;
  /** The timeline that begins there, or the checkpoint (its branch's id and its name). */
  readonly by: 'child' | 'checkpoint';
  readonly who: string;
}

/** These run inside a transaction. */
export function hold({ holds }: CatalogTables, by: TimelineHold, lsn = 0n as Lsn): void {
  holds.put(by, lsn);
}

/** Lets go of a timeline; answers what nothing holds any more and is removed: that one, and those it came from. */
export function letGo(tables: CatalogTables, by: TimelineHold): TimelineRecord[] {
  tables.holds.remove(by);
  return removeUnheld(tables, by[0]);
}

export function removeUnheld(tables: CatalogTables, id: TimelineId): TimelineRecord[] {
  const timeline = tables.timelines.get(id);
  if (timeline === undefined || isHeld(tables, id)) return [];
  tables.timelines.remove(id);
  const { parent } = timeline;
  if (parent === undefined) return [timeline];
  return [timeline, ...letGo(tables, [parent.timeline, 'child', id])];
}

export function isHeld({ holds }: CatalogTables, id: TimelineId): boolean {
  // Of ten thousand only the first is looked at.
  return [...holds.getKeys({ ...holdsOf(id), limit: 1 })].length > 0;
}

/** `~` sorts behind every kind. */
export function holdsOf(id: TimelineId): { start: TimelineHold; end: TimelineHold } {
  return { start: [id, '' as 'branch', ''], end: [id, '~' as 'branch', ''] };
}

export function addToTenantCount({ meta }: CatalogTables, tenant: TenantId, change: number): void {
  const key = tenantCountKey(tenant);
  meta.put(key, (meta.get(key) ?? 0) + change);
}

export function tenantCountKey(tenant: TenantId): string {
  return `branches_of/${tenant}`;
}
