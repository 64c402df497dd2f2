export { asOffshootError, baseError } from './base-errors.js';
export { type DataDirectorySurroundings, defaultDataDirectory } from './default-data-directory.js';
export { defineErrors, type ErrorFactory } from './define-errors.js';
export type { ErrorKind } from './error-kind.js';
export {
  allErrorDeclarations,
  type ErrorDeclaration,
  errorDeclaration,
  isErrorCode,
} from './error-registry.js';
export {
  parseTenantId,
  parseTimelineId,
  type RandomBytes,
  randomTenantId,
  randomTimelineId,
  type TenantId,
  type TimelineId,
} from './ids.js';
export { formatLsn, LSN_INVALID, LSN_MAX, type Lsn, parseLsn, toLsn } from './lsn.js';
export {
  type BranchName,
  parseBranchName,
  parseTenantName,
  TEMPLATE_NAME,
  type TenantName,
} from './names.js';
export { type ErrorContext, type ErrorDetails, OffshootError } from './offshoot-error.js';
