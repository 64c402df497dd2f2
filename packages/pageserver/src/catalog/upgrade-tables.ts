import type { CatalogTables } from './catalog-tables.js';
import { addToTenantCount, hold } from './timeline-holds.js';

/**
 * Brings a catalog of an earlier version, or a new one, to this version's format, in one transaction. Before version 2
 * nothing said what holds a timeline, and nobody counted a tenant's branches.
 */
export function upgradeTables(tables: CatalogTables, version: number): void {
  const { root, meta, timelines, branches } = tables;
  root.transactionSync(() => {
    for (const { value } of timelines.getRange()) {
      if (value.parent !== undefined) {
        hold(tables, [value.parent.timeline, 'child', value.id], value.parent.ancestorLsn);
      }
    }
    for (const value of branches.values()) {
      hold(tables, [value.timeline, 'branch', value.id]);
      addToTenantCount(tables, value.tenant, 1);
    }
    meta.put('schema_version', version);
  });
}
