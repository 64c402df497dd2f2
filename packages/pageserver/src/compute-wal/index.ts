export { computeWalError } from './compute-wal-errors.js';
export { type ComputeWalSettings, computeWalDefaults } from './compute-wal-settings.js';
export { COMPUTE_WAL_STATES, type ComputeWalState, type TimelineWal } from './timeline-wal.js';
