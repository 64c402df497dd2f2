import { defineErrors } from '@offshoot/types';

/** What the storage node refuses or fails at. */
export const pageServerError = defineErrors({
  /** The tenant's store could not be opened at the start. */
  tenant_unavailable: {
    kind: 'alert',
    sqlState: '58000',
    httpStatus: 503,
    action: 'show this to the person who runs the page server; other tenants are served',
  },
  /** As many imports run as may. */
  too_many_imports: {
    kind: 'retry',
    sqlState: '53400',
    httpStatus: 429,
    action:
      'wait until an import has ended (pageserver-ctl operation list), then send the same request again',
  },
  /** The page server is stopping. */
  page_server_closed: { kind: 'reconnect', sqlState: '57P01', httpStatus: 503 },
});
