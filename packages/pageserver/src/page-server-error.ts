import { defineErrors } from '@offshoot/types';

/** What the storage node refuses or fails at. */
export const pageServerError = defineErrors({
  /** The tenant's store could not be opened at the start. */
  tenant_unavailable: { kind: 'alert', sqlState: '58000', httpStatus: 503 },
  /** As many imports run as may. */
  too_many_imports: { kind: 'retry', sqlState: '53400', httpStatus: 429 },
  /** The page server is stopping. */
  page_server_closed: { kind: 'reconnect', sqlState: '57P01', httpStatus: 503 },
});
