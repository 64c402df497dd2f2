import { defineErrors } from '@offshoot/types';

const otherDump = 'make the dump anew with pg_dump, plain or with -Fc, and send that';

/** What can go wrong with a dump, and with loading it. */
export const dumpError = defineErrors({
  /** Neither SQL nor what pg_restore reads. */
  dump_format_unknown: { kind: 'fix', sqlState: '22023', httpStatus: 422, action: otherDump },
  /** It breaks off, or its compression is broken. */
  dump_damaged: { kind: 'fix', sqlState: '22023', httpStatus: 422, action: otherDump },
  /** It asks for something that no dump may: a program, a file, another server. */
  dump_refused: {
    kind: 'fix',
    sqlState: '0A000',
    httpStatus: 422,
    action: 'take that out of the dump; it may hold SQL, COPY ... FROM stdin, and \\connect',
  },
  dump_statement_failed: {
    kind: 'fix',
    sqlState: '22000',
    httpStatus: 422,
    action: 'mend the statement, or load what can be loaded: on_error continue (--on-error continue)',
  },
  dump_too_large: {
    kind: 'fix',
    sqlState: '54000',
    httpStatus: 413,
    action: 'send a smaller dump, or raise the setting that the message names',
  },
  pg_restore_not_found: {
    kind: 'fix',
    sqlState: '58P01',
    httpStatus: 422,
    action:
      "install Postgres' client programs on the page server's machine or name one with --pg-restore; or send SQL: pg_restore " +
      '-f - FILE makes it',
  },
  pg_restore_failed: { kind: 'fix', sqlState: '22023', httpStatus: 422, action: otherDump },
  /** The compute that it is loaded on has ended, or its connection has. */
  load_interrupted: {
    kind: 'retry',
    sqlState: '08006',
    httpStatus: 503,
    action: 'send the dump again',
  },
});
