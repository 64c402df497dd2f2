export type { BranchChange } from './branch-change.js';
export type { BranchMove, MovedBranch } from './branch-move.js';
export {
  type BranchWithTimeline,
  Catalog,
  type CatalogSurroundings,
  type ImportedHistory,
  type NewBranch,
  type NewBranchChoice,
  type NewCheckpoint,
  type NewTenant,
} from './catalog.js';
export { catalogError } from './catalog-errors.js';
export { isExpired } from './catalog-reads.js';
export type { NewIdempotencyKey, NewKeyOf } from './idempotency-keys.js';
export type {
  Actor,
  BranchId,
  BranchRecord,
  BranchRoleRecord,
  BranchSettings,
  BranchUse,
  CheckpointRecord,
  Durability,
  IdempotencyRecord,
  ImportStats,
  RolesApplied,
  SnapshotPolicy,
  TenantRecord,
  TenantSource,
  TenantState,
  TimelineRecord,
  TokenId,
  TokenRecord,
} from './records.js';
export type { KeptLsn } from './timeline-holds.js';
