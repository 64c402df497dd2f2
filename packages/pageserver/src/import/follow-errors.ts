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
  /** Nothing more comes from the source for this tenant. */
  production_not_followed: {
    kind: 'fix',
    sqlState: '55000',
    httpStatus: 409,
    action:
      'branch what is here (--at latest, an LSN or a time in it), or import the source again under another name',
  },
  /** The source cannot be asked how far its WAL has come. */
  production_unreachable: {
    kind: 'retry',
    sqlState: '08001',
    httpStatus: 503,
    action:
      'make production reachable from the page server and ask again, or branch what is here: --at latest',
  },
  /** The source's WAL did not arrive here in time. */
  production_behind: {
    kind: 'retry',
    sqlState: '57014',
    httpStatus: 503,
    action:
      'ask again with a longer --timeout, or branch what is here: --at latest; pageserver-ctl status says how far behind it is',
  },
  /** The source does not have the WAL any more that comes next. */
  replication_slot_lost: {
    kind: 'fix',
    sqlState: '55000',
    httpStatus: 409,
    action: 'import the source again under another name; the branches that are there go on working',
  },
});
