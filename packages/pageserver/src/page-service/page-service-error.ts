import { defineErrors } from '@offshoot/types';

/** What the page service itself refuses or fails at. */
export const pageServiceError = defineErrors({
  /** All connections are in use. */
  too_many_connections: { kind: 'retry', sqlState: '53300', httpStatus: 503 },
  /** The page service is stopping. */
  page_service_stopping: { kind: 'reconnect', sqlState: '57P01', httpStatus: 503 },
  /** No token, or one that nobody gave out. */
  authentication_failed: { kind: 'fix', sqlState: '28P01', httpStatus: 401 },
  /** The listener speaks TLS only. */
  tls_required: { kind: 'fix', sqlState: '28000', httpStatus: 400 },
  /** The token is for another tenant. */
  tenant_forbidden: { kind: 'fix', sqlState: '42501', httpStatus: 403 },
  /** A connection serves one tenant for life. */
  connection_tenant_fixed: { kind: 'fix', sqlState: 'XX000', httpStatus: 400 },
  /** A message inside a page stream that is no request. */
  pagestream_violation: { kind: 'fix', sqlState: 'XX000', httpStatus: 400 },
  /** The LSN asked for did not come in time. */
  lsn_wait_timeout: { kind: 'retry', sqlState: 'XX000', httpStatus: 504 },
  /** More leases than the service keeps. */
  too_many_leases: { kind: 'retry', sqlState: '53400', httpStatus: 503 },
  /** The client went away; nobody is told. */
  connection_lost: { kind: 'reconnect', sqlState: '08006', httpStatus: 499 },
  /** A listener cannot be opened where it should be. */
  listen_failed: { kind: 'fix', sqlState: '58000', httpStatus: 500 },
});
