/** Codes that any route with a token may be refused with. */
export const everywhere = [
  'invalid_argument',
  'unauthorized',
  'token_expired',
  'too_many_requests',
  'internal',
] as const;
/** One that is not for every scope. */
export const scoped = ['forbidden'] as const;
export const withBody = ['request_too_large', 'media_type_unsupported'] as const;
/** One that changes something. */
export const changing = ['shutting_down', 'catalog_write_failed', 'page_server_closed'] as const;
export const ofBranch = ['branch_not_found'] as const;
export const ofTenant = ['tenant_not_found', 'tenant_not_active', 'tenant_unavailable'] as const;

/** Starting a compute, or asking one. */
export const ofCompute = [
  'tenant_not_active',
  'tenant_unavailable',
  'computes_exhausted',
  'wake_failed',
  'open_abandoned',
  'compute_start_failed',
  'compute_start_timeout',
  'compute_start_cancelled',
  'compute_starting',
  'compute_not_running',
  'branch_loading',
  'compute_without_superuser',
  'compute_without_replication_role',
  'role_name_taken',
  'branch_expired',
  'quota_reached',
  'compute_setting_invalid',
  'base_backup_interrupted',
  'base_backup_refused',
  'base_backup_invalid',
  'engine_busy',
  'wal_in_use',
  'wal_not_taken_in',
  'wal_damaged',
] as const;

/** Finding a place in a branch's history. */
export const ofPlace = [
  'branch_loading',
  'branch_point_out_of_range',
  'branch_point_not_reached',
  'production_not_followed',
  'production_unreachable',
  'production_behind',
] as const;
