export {
  type BranchWithTimeline,
  Catalog,
  type CatalogSurroundings,
  type ImportedHistory,
  type NewBranch,
  type NewBranchChoice,
  type NewTenant,
} from './catalog.js';
export { catalogError } from './catalog-errors.js';
export type {
  BranchId,
  BranchRecord,
  BranchRoleRecord,
  BranchSettings,
  BranchUse,
  Durability,
  ImportStats,
  RolesApplied,
  TenantRecord,
  TenantSource,
  TenantState,
  TimelineRecord,
} from './records.js';
