export { ApiError, ConnectionError } from './api-error.js';
export * from './checkup.js';
export * from './creation.js';
export * from './databases.js';
export * from './load-schemas.js';
export { type ClientOptions, type DumpBody, type DumpChoice, OffshootClient } from './offshoot-client.js';
export * from './retention-schemas.js';
export * from './schemas.js';
export type { Duration } from './sdk/duration.js';
export {
  AccessError,
  ConflictError,
  InvalidRequestError,
  LimitError,
  NotFoundError,
  ServerError,
} from './sdk/errors.js';
export { Fork } from './sdk/fork.js';
export { type DatabaseOptions, type ForkOptions, Offshoot, type OffshootOptions } from './sdk/offshoot.js';
export { type RetrySettings, retryDefaults } from './sdk/retries.js';
export * from './tokens.js';
