/**
 * How long whoever was refused should wait before the same request is sent again, in milliseconds: about as long as what
 * stands in the way usually lasts. An error that knows its own time says that instead (`details.retryAfterMs`).
 */
const usually: Readonly<Record<string, number>> = {
  // Over already, as a rule: what was asked of something else is asked of what is there now.
  branch_changed: 100,
  compute_start_cancelled: 100,
  // Under way, and soon over.
  compute_starting: 250,
  engine_busy: 250,
  wal_in_use: 500,
  tenant_not_active: 1000,
  // The attempt has taken its time; another may find it done.
  branch_point_not_reached: 1000,
  branch_role_not_applied: 1000,
  branch_loading: 1000,
  load_interrupted: 1000,
  upload_interrupted: 1000,
  compute_start_timeout: 1000,
  production_behind: 1000,
  wake_failed: 1000,
  base_backup_interrupted: 1000,
  // Others have to leave.
  computes_exhausted: 1000,
  loads_exhausted: 5000,
  too_many_imports: 5000,
  // Somebody has to come back.
  page_server_closed: 2000,
  production_unreachable: 2000,
  shutting_down: 2000,
};

/** Undefined: nothing sensible is known. */
export function usualRetryAfterMs(code: string): number | undefined {
  return Object.hasOwn(usually, code) ? usually[code] : undefined;
}
