import { defineErrors } from '@offshoot/types';

/** What the control plane and its API refuse. */
export const controlError = defineErrors({
  unauthorized: { kind: 'fix', sqlState: '28000', httpStatus: 401 },
  route_not_found: { kind: 'fix', sqlState: '42883', httpStatus: 404 },
  operation_not_found: { kind: 'fix', sqlState: '42704', httpStatus: 404 },
  compute_not_running: { kind: 'fix', sqlState: '55000', httpStatus: 409 },
  compute_starting: { kind: 'retry', sqlState: '57P03', httpStatus: 409 },
  branch_without_compute: { kind: 'fix', sqlState: '55000', httpStatus: 409 },
  parent_needed: { kind: 'fix', sqlState: '22023', httpStatus: 400 },
  shutting_down: { kind: 'retry', sqlState: '57P01', httpStatus: 503 },
});
