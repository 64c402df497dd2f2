export type { CollectorView, Keeper, MeasuredTimeline } from './collector.js';
export type { Reclaimed } from './reclaimer.js';
export { type HistorySettings, type RetentionSettings, retentionDefaults } from './retention-settings.js';
