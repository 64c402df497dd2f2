export type { LoginCandidates, NamedRole, PageReads } from '@offshoot/engine';
export * from './catalog/index.js';
export type { SourceCheck } from './checkup/index.js';
export * from './compute-wal/index.js';
export * from './import/index.js';
export type { OpenTimeline } from './open-timeline.js';
export {
  type ComputeWalStats,
  PageServer,
  type PageServerLog,
  type PageServerOptions,
  type PageServerStats,
} from './page-server.js';
export { pageServerError } from './page-server-error.js';
export { type PageServerSettings, pageServerDefaults } from './page-server-settings.js';
export * from './page-service/index.js';
export * from './retention/index.js';
export * from './wal/index.js';
