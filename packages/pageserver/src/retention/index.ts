export type { Reclaimed } from './reclaimer.js';
export { type RetentionSettings, retentionDefaults } from './retention-settings.js';
