export { ApiError, ConnectionError } from './api-error.js';
export { type ClientOptions, OffshootClient } from './offshoot-client.js';
export * from './retention-schemas.js';
export * from './schemas.js';
