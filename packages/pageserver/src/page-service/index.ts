export { type LeaseBook, MemoryLeaseBook, type MemoryLeaseBookOptions, normalizedLsn } from './lease-book.js';
export { LsnProgress } from './lsn-progress.js';
export type { PageListenerSpec, PageServiceAddress } from './page-listener.js';
export { PageService, type PageServiceOptions } from './page-service.js';
export { PageServiceCounters } from './page-service-counters.js';
export { pageServiceError } from './page-service-error.js';
export { type PageServiceSettings, pageServiceDefaults } from './page-service-settings.js';
export type { PageSource, TimelinePages } from './page-source.js';
export type { GrantedToken, TokenProvider, TokenScope } from './token-check.js';
