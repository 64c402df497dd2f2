import { defineErrors } from '@offshoot/types';

/** What can go wrong with installations, data directories and computes. */
export const computeError = defineErrors({
  /** There is no Postgres where one was looked for. */
  postgres_not_found: { kind: 'fix', sqlState: '58P01', httpStatus: 500 },
  /** The installation is of another major version than the tenant's pages. */
  postgres_version_unsupported: { kind: 'fix', sqlState: '0A000', httpStatus: 400 },
  /** The installation is there and does not run. */
  postgres_unusable: { kind: 'fix', sqlState: '58000', httpStatus: 500 },
  /** No such user on this machine, or one that Postgres will not run as. */
  os_user_unsuitable: { kind: 'fix', sqlState: '58000', httpStatus: 500 },
  /** The OS user of Postgres cannot get at a directory or socket. */
  path_unreachable: { kind: 'fix', sqlState: '42501', httpStatus: 500 },
  /** Something goes on making files there. */
  directory_not_removed: { kind: 'alert', sqlState: '55006', httpStatus: 500 },
  /** The library that Postgres preloads was not built or was removed. */
  preload_library_missing: { kind: 'fix', sqlState: '58P01', httpStatus: 500 },
  /** A compute setting has a value that cannot be. */
  compute_setting_invalid: { kind: 'fix', sqlState: '22023', httpStatus: 400 },
  /** The page service could not be reached, or went away in the middle. */
  base_backup_interrupted: { kind: 'retry', sqlState: '08006', httpStatus: 503 },
  /** The page service refused the base backup. */
  base_backup_refused: { kind: 'fix', sqlState: '55000', httpStatus: 409 },
  /** What the page service sent is no base backup. */
  base_backup_invalid: { kind: 'alert', sqlState: '08P01', httpStatus: 500 },
  /** Postgres ended, or answered no query, before it was ready. */
  compute_start_failed: { kind: 'alert', sqlState: '57P03', httpStatus: 500 },
  /** Postgres was not ready within the deadline. */
  compute_start_timeout: { kind: 'retry', sqlState: '57P03', httpStatus: 503 },
  /** No role on the branch may log in and send WAL. */
  compute_without_replication_role: { kind: 'fix', sqlState: '42501', httpStatus: 409 },
  /** The branch's own role would have the name of one that came with the data. */
  role_name_taken: { kind: 'fix', sqlState: '42710', httpStatus: 409 },
  /** Nobody on the branch may make roles. */
  compute_without_superuser: { kind: 'fix', sqlState: '42501', httpStatus: 409 },
  compute_start_cancelled: { kind: 'retry', sqlState: '57014', httpStatus: 409 },
  compute_not_found: { kind: 'fix', sqlState: '42704', httpStatus: 404 },
  computes_exhausted: { kind: 'retry', sqlState: '53300', httpStatus: 503 },
  /** initdb or the start of an ordinary Postgres failed. */
  scratch_postgres_failed: { kind: 'alert', sqlState: '58000', httpStatus: 500 },
});
