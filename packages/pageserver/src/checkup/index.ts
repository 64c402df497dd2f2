export { type CheckSourceOptions, checkSource } from './check-source.js';
export type { SourceCheck } from './source-check.js';
