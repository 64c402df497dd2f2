export { type AccessSettings, accessDefaults } from './access/access-settings.js';
export type { FailureListener } from './api/answer-problem.js';
export { type ApiOptions, buildApi } from './api/build-api.js';
export { ControlPlane, type ControlPlaneOptions, type DaemonFacts } from './control-plane.js';
export { type DatabaseSettings, databaseDefaults } from './databases/database-settings.js';
export { EventLog, type EventSettings, eventDefaults } from './events/event-log.js';
export { type ExpirySettings, expiryDefaults } from './expiry/expiry-settings.js';
export {
  type Family,
  gatewayMetrics,
  gatewayObserver,
  type MetricGroup,
  Metrics,
  pageServiceMetrics,
  type Sample,
} from './metrics/index.js';
export { toProblem } from './problem.js';
export { type QuotaSettings, quotaDefaults } from './quota/write-quotas.js';
export type { Clock } from './sleep/clock.js';
export { resolveWakeSettings, type WakeSettings, wakeDefaults } from './sleep/wake-settings.js';
