export { computeWalError } from './compute-wal-errors.js';
export { type ComputeWalSettings, computeWalDefaults } from './compute-wal-settings.js';
export type { TimelineWal } from './timeline-wal.js';
