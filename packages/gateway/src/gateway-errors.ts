import { defineErrors } from '@offshoot/types';

/** What the gateway itself refuses or fails at. */
export const gatewayError = defineErrors({
  branch_not_named: {
    kind: 'fix',
    sqlState: '3D000',
    httpStatus: 400,
    action:
      'name the branch behind the database, as in dbname=postgres@try-1 or postgres://user@host:port/postgres@try-1, ' +
      'or with options=-coffshoot.branch=try-1',
  },
  branch_name_impossible: {
    kind: 'fix',
    sqlState: '3D000',
    httpStatus: 404,
    action: 'look which branches there are: pageserver-ctl branch list; their names are in lower case',
  },
  branch_names_differ: {
    kind: 'fix',
    sqlState: '08P01',
    httpStatus: 400,
    action: 'name one branch, in one place; a database with an "@" in its name is written NAME@BRANCH too',
  },
  user_not_named: {
    kind: 'fix',
    sqlState: '28000',
    httpStatus: 400,
    action: 'name the role to connect as: postgres://ROLE@host:port/database@branch',
  },
  gateway_tls_required: {
    kind: 'fix',
    sqlState: '28000',
    httpStatus: 400,
    action: 'connect with sslmode=require',
  },
  gateway_connections_exhausted: {
    kind: 'retry',
    sqlState: '53300',
    httpStatus: 503,
    action: 'close connections that are not needed, or try again in a moment',
  },
  /** Its own code: more connections are welcome, but from somebody who can log in. */
  gateway_wakes_exhausted: {
    kind: 'retry',
    sqlState: '53300',
    httpStatus: 503,
    action:
      'log in with a role and password of the branch; a branch that is awake still takes connections, ' +
      'and others can be woken again in a while',
  },
  handshake_timeout: {
    kind: 'reconnect',
    sqlState: '57014',
    httpStatus: 408,
    action: 'connect again, and send the start-up packet and the password without delay',
  },
  branch_open_timeout: {
    kind: 'retry',
    sqlState: '57P03',
    httpStatus: 504,
    action: 'try again; if it stays so, look at the compute: pageserver-ctl compute list',
  },
  compute_unreachable: {
    kind: 'retry',
    sqlState: '57P03',
    httpStatus: 503,
    action: 'try again; if it stays so, look at the compute: pageserver-ctl compute list',
  },
  /** It has ended since its address was given out; said when that was so again and again. */
  compute_gone: {
    kind: 'retry',
    sqlState: '57P03',
    httpStatus: 503,
    action: 'try again; if it stays so, look at the compute: pageserver-ctl compute list',
  },
  /** What answers at the compute's address is no Postgres. */
  compute_protocol_violation: { kind: 'alert', sqlState: '08P01', httpStatus: 502 },
  gateway_stopping: {
    kind: 'reconnect',
    sqlState: '57P01',
    httpStatus: 503,
    action: 'connect again once the page server has been started again',
  },
  /** Nobody is told; it ends what is under way for a client that has left. */
  client_left: { kind: 'reconnect', sqlState: '08006', httpStatus: 499 },
  gateway_listen_failed: {
    kind: 'fix',
    sqlState: '58000',
    httpStatus: 500,
    action: 'choose another address with --gateway-listen, or none with --gateway-listen off',
  },
});
