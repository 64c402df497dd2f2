export { formatPageServiceAddress, type PageServiceAddress } from './base-backup.js';
export {
  type BranchRole,
  type BranchRoleRights,
  type BranchRoles,
  isMarkOfBranch,
  type OpenSessions,
  roleNameTaken,
} from './branch-roles/branch-roles.js';
export type {
  ComputeAccess,
  ComputeActivity,
  ComputeDriver,
  ComputeEnd,
  ComputeSpec,
  ComputeStatus,
  ComputeTimings,
  ConnectAs,
  RunningCompute,
  StopMode,
  SweepReport,
} from './compute-driver.js';
export { computeError } from './compute-errors.js';
export type { ComputeState } from './compute-lifecycle.js';
export { type ComputePlaces, computePlaces } from './compute-paths.js';
export { type ComputeSettings, defaultComputeSettings, resolveComputeSettings } from './compute-settings.js';
export type { ComputeWal, Durability, WalSource } from './compute-wal.js';
export * from './isolation/index.js';
export type { WriteRefusal } from './limits-file.js';
export { LocalComputeDriver, type LocalComputeDriverOptions } from './local-compute-driver.js';
export { defaultLocalComputeLimits, type LocalComputeLimits } from './local-compute-limits.js';
export { type OsUser, resolveOsUser, spawnAs } from './os-user.js';
export {
  type PostgresInstallation,
  type ResolvePostgresOptions,
  resolvePostgres,
} from './postgres-installation.js';
export { supportedMajors } from './postgres-version.js';
export { assertEnterable } from './reachability.js';
export { type ScratchConnection, ScratchPostgres, type ScratchPostgresOptions } from './scratch-postgres.js';
export {
  chooseSocketDirectory,
  makeSocketDirectory,
  removeSocketDirectory,
  temporaryDirectories,
} from './socket-directory.js';
export type { StatementTimes } from './statements-file.js';
export { TemplateCluster, type TemplateClusterOptions, type TemplateSource } from './template-cluster.js';
