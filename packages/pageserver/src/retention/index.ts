export type { BranchStorage, Pinned } from './branch-storage.js';
export type { CollectorView, Keeper } from './collector.js';
export type { Reclaimed } from './reclaimer.js';
export { type HistorySettings, type RetentionSettings, retentionDefaults } from './retention-settings.js';
export type { Growth, MeasuredTimeline } from './timeline-measures.js';
