import { defineErrors } from '@offshoot/types';

/** What the control plane and its API refuse. */
export const controlError = defineErrors({
  unauthorized: {
    kind: 'fix',
    sqlState: '28000',
    httpStatus: 401,
    action:
      'read the token from the file "token" in the data directory, or have one made (pageserver-ctl token create), and ' +
      'send it with each request',
  },
  token_expired: {
    kind: 'fix',
    sqlState: '28000',
    httpStatus: 401,
    action: 'have whoever runs the page server make another: pageserver-ctl token create',
  },
  /** The token is good, and its scope is not for this. */
  forbidden: {
    kind: 'fix',
    sqlState: '42501',
    httpStatus: 403,
    action: 'use a token whose scope is for this; GET /v1/tokens/self says what this one is for',
  },
  too_many_requests: {
    kind: 'retry',
    sqlState: '53400',
    httpStatus: 429,
    action: 'wait as long as retry_after_ms says, then send the same request again',
  },
  idempotency_key_reused: {
    kind: 'fix',
    sqlState: '22023',
    httpStatus: 409,
    action: 'send another request under another Idempotency-Key',
  },
  /** What was made or changed under the key is gone. */
  idempotency_key_spent: {
    kind: 'fix',
    sqlState: '42704',
    httpStatus: 409,
    action: 'look which branches there are; make another one under another Idempotency-Key',
  },
  /** There is a branch of that name, and it is another one than was asked for. */
  branch_differs: {
    kind: 'fix',
    sqlState: '42710',
    httpStatus: 409,
    action: 'choose another name, or ask for the branch as it is: without from and at',
  },
  route_not_found: {
    kind: 'fix',
    sqlState: '42883',
    httpStatus: 404,
    action: 'check the method and the path',
  },
  request_too_large: {
    kind: 'fix',
    sqlState: '54000',
    httpStatus: 413,
    action: 'send a shorter body',
  },
  media_type_unsupported: {
    kind: 'fix',
    sqlState: '0A000',
    httpStatus: 415,
    action: 'send the body as JSON, with "Content-Type: application/json"',
  },
  operation_not_found: {
    kind: 'fix',
    sqlState: '42704',
    httpStatus: 404,
    action: 'look which operations there are: pageserver-ctl operation list',
  },
  compute_not_running: { kind: 'fix', sqlState: '55000', httpStatus: 409 },
  compute_starting: {
    kind: 'retry',
    sqlState: '57P03',
    httpStatus: 409,
    action: 'wait a moment, then ask again',
  },
  /** A connection woke a branch, and its compute could not be started. */
  wake_failed: {
    kind: 'retry',
    sqlState: '57P03',
    httpStatus: 503,
    action: 'do what the reason says, then connect again',
  },
  /** Whoever wanted a branch awake has gone. */
  open_abandoned: { kind: 'retry', sqlState: '57014', httpStatus: 499 },
  branch_read_only: { kind: 'fix', sqlState: '25006', httpStatus: 409 },
  branch_role_exists: {
    kind: 'fix',
    sqlState: '42710',
    httpStatus: 409,
    action:
      'have a new password made (pageserver-ctl branch role rotate BRANCH), or remove it first: branch role delete BRANCH',
  },
  branch_role_absent: {
    kind: 'fix',
    sqlState: '42704',
    httpStatus: 404,
    action: 'make one: pageserver-ctl branch role create BRANCH',
  },
  /** The running compute was not told in time, or refused. */
  branch_role_not_applied: {
    kind: 'retry',
    sqlState: '55P03',
    httpStatus: 503,
    action:
      'do what the message says, or stop the compute (pageserver-ctl compute stop BRANCH); then ask again',
  },
  gateway_off: {
    kind: 'fix',
    sqlState: '55000',
    httpStatus: 409,
    action:
      'ask for the socket: pageserver-ctl connection-string BRANCH --socket, or start the page server with --gateway-listen',
  },
  /** What was written on the parent did not arrive in time. */
  branch_point_not_reached: {
    kind: 'retry',
    sqlState: '57014',
    httpStatus: 503,
    action:
      'send the same request again; if that does not help, look at the compute: pageserver-ctl compute list',
  },
  parent_needed: {
    kind: 'fix',
    sqlState: '22023',
    httpStatus: 400,
    action: 'name the branch to start from: pageserver-ctl branch create NAME --from PARENT',
  },
  branch_loading: {
    kind: 'retry',
    sqlState: '57P03',
    httpStatus: 409,
    action: 'wait for the end of the load: pageserver-ctl operation list',
  },
  loads_exhausted: {
    kind: 'retry',
    sqlState: '53400',
    httpStatus: 429,
    action: 'wait until one has ended, or raise the setting loadsMax',
  },
  load_cancelled: {
    kind: 'fix',
    sqlState: '57014',
    httpStatus: 409,
    action: 'send the dump again if it is wanted',
  },
  /** What is sent has stopped coming, or whoever sent it is gone. */
  upload_interrupted: {
    kind: 'retry',
    sqlState: '08006',
    httpStatus: 408,
    action: 'send the dump again, without a break',
  },
  /** initdb has failed, or the import of what it made. */
  template_not_made: {
    kind: 'alert',
    sqlState: '58000',
    httpStatus: 503,
    action: 'mend what the message says on the machine of the page server, then ask again',
  },
  shutting_down: {
    kind: 'retry',
    sqlState: '57P01',
    httpStatus: 503,
    action: 'wait until the page server has been started again, then send the same request again',
  },
});
