export { ApiError, ConnectionError } from './api-error.js';
export * from './creation.js';
export { type ClientOptions, OffshootClient } from './offshoot-client.js';
export * from './schemas.js';
export * from './tokens.js';
