import { defineErrors } from '@offshoot/types';

/** What can go wrong with a timeline's WAL log. */
export const computeWalError = defineErrors({
  /** The timeline has a source of WAL already. */
  wal_in_use: { kind: 'retry', sqlState: '55006', httpStatus: 409 },
  /** What was received cannot be put into the pages. It is kept. */
  wal_not_taken_in: { kind: 'alert', sqlState: '58030', httpStatus: 500 },
  /** The compute's WAL could not be received for so long that it was given up. */
  wal_source_lost: { kind: 'alert', sqlState: '08006', httpStatus: 503 },
});
