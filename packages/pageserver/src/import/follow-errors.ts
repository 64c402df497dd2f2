import { defineErrors } from '@offshoot/types';

/** Why production's WAL cannot be followed. */
export const followError = defineErrors({
  /** Another cluster, or another of its histories, answers at the source's address. */
  source_changed: {
    kind: 'fix',
    sqlState: '55000',
    httpStatus: 409,
    action:
      'make the source that was imported answer at its address again; after a failover or restore, import it again under another name',
  },
  /** The source does not have the WAL any more that comes next. */
  replication_slot_lost: {
    kind: 'fix',
    sqlState: '55000',
    httpStatus: 409,
    action: 'import the source again under another name; the branches that are there go on working',
  },
});
