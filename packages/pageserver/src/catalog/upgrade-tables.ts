import type { CatalogTables } from './catalog-tables.js';
import type { TimelineRecord } from './records.js';
import { addToTenantCount, hold } from './timeline-holds.js';

/**
 * Brings a catalog of version `from`, or a new one (0), to this version's format, in one transaction. Before version 2
 * nothing said what holds a timeline, and nobody counted a tenant's branches; version 2 said for which branch a timeline was
 * made, not whether it goes on from that branch's own history.
 */
export function upgradeTables(tables: CatalogTables, from: number, to: number): void {
  tables.root.transactionSync(() => {
    if (from < 2) holdAndCount(tables);
    else if (from < 3) continueHistories(tables);
    tables.meta.put('schema_version', to);
  });
}

function holdAndCount(tables: CatalogTables): void {
  for (const { value } of tables.timelines.getRange()) {
    if (value.parent !== undefined) {
      hold(tables, [value.parent.timeline, 'child', value.id], value.parent.ancestorLsn);
    }
  }
  for (const value of tables.branches.values()) {
    hold(tables, [value.timeline, 'branch', value.id]);
    addToTenantCount(tables, value.tenant, 1);
  }
}

/** A timeline as version 2 has it. */
type Made = TimelineRecord & { readonly madeFor?: string };

/** One that was made for the same branch as its parent came of a restore. */
function continueHistories({ timelines }: CatalogTables): void {
  const all = new Map([...timelines.getRange()].map(({ key, value }) => [key, value as Made]));
  for (const [id, { madeFor, ...record }] of all) {
    if (madeFor === undefined) continue;
    const before = record.parent && all.get(record.parent.timeline)?.madeFor;
    timelines.put(id, before === madeFor ? { ...record, continues: true } : record);
  }
}
