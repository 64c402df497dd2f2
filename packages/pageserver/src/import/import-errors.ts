import { defineErrors, type ErrorDetails, OffshootError } from '@offshoot/types';
import { DatabaseError } from 'pg-protocol';

/** Why an import cannot be done, or was not. */
export const importError = defineErrors({
  /** What was given as the source is no connection string. */
  source_url_invalid: {
    kind: 'fix',
    sqlState: '22023',
    httpStatus: 400,
    action: 'send a URL like postgres://user@host:5432/database',
  },
  /** Nothing answers there, or not in time. */
  source_unreachable: {
    kind: 'retry',
    sqlState: '08001',
    httpStatus: 502,
    action: 'check that the source runs and can be reached from the page server, then import again',
  },
  /** The source does not let this user in, or not for replication. */
  source_access_denied: {
    kind: 'fix',
    sqlState: '42501',
    httpStatus: 422,
    action: 'mend the source or the connection string as the detail says, then import again',
  },
  /** No encrypted connection could be made of the kind that the connection string asks for. */
  source_tls: { kind: 'fix', sqlState: '08001', httpStatus: 422 },
  /** The source's settings leave no room: WAL senders, replication slots. */
  source_settings: {
    kind: 'fix',
    sqlState: '55000',
    httpStatus: 422,
    action: 'have the setting changed at the source as the detail says, then import again',
  },
  /** The source is of a kind that cannot be served. */
  source_unsupported: { kind: 'fix', sqlState: '0A000', httpStatus: 422 },
  /** The source reported an error on the way. */
  source_failed: { kind: 'retry', sqlState: '58000', httpStatus: 502 },
  /** The connection broke off, or fell silent. */
  source_lost: {
    kind: 'retry',
    sqlState: '08006',
    httpStatus: 502,
    action: 'import again: nothing of the broken one is left',
  },
  /** Somebody cancelled the import. */
  import_cancelled: {
    kind: 'fix',
    sqlState: '57014',
    httpStatus: 409,
    action: 'import again when it is wanted',
  },
});

type Code = Parameters<typeof importError>[0];

interface Rule {
  readonly sqlState: RegExp;
  readonly text?: RegExp;
  readonly code: Code;
  readonly hint: string;
}

/** What a user can do about errors that Postgres reports; the first that fits counts. */
const RULES: readonly Rule[] = [
  {
    sqlState: /^28000$/,
    text: /pg_hba.*no encryption/,
    code: 'source_access_denied',
    hint: 'it may want encryption: add sslmode=verify-full to the connection string; else add a line such as `host replication USER ADDRESS scram-sha-256` to its pg_hba.conf and reload it',
  },
  {
    sqlState: /^28000$/,
    text: /pg_hba/,
    code: 'source_access_denied',
    hint: 'add a line such as `host replication USER ADDRESS scram-sha-256` to its pg_hba.conf and reload it',
  },
  {
    sqlState: /^28/,
    code: 'source_access_denied',
    hint: 'check the user and password, in the connection string, in PGPASSWORD or in .pgpass',
  },
  {
    sqlState: /^42501$/,
    code: 'source_access_denied',
    hint: 'the user needs the REPLICATION attribute: ALTER ROLE name REPLICATION',
  },
  {
    sqlState: /^53300$/,
    text: /max_wal_senders|standby connections/,
    code: 'source_settings',
    hint: 'an import needs one WAL sender: raise max_wal_senders (and set wal_level to replica), then restart',
  },
  {
    sqlState: /^53300$/,
    code: 'source_settings',
    hint: 'all its connections are in use: free one or raise max_connections',
  },
  {
    sqlState: /^(53400|55000)$/,
    text: /replication slot/,
    code: 'source_settings',
    hint: 'an import needs one replication slot for as long as it runs: raise max_replication_slots, then restart',
  },
  {
    sqlState: /^55000$/,
    text: /wal_level/,
    code: 'source_settings',
    hint: 'set wal_level to replica or logical, then restart',
  },
  {
    sqlState: /^57P0[123]$/,
    code: 'source_unreachable',
    hint: 'it is starting or stopping: try again when it runs',
  },
  {
    sqlState: /^XX001$|^XX002$|^22000$/,
    text: /checksum|invalid page/,
    code: 'source_failed',
    hint: 'its data is damaged: see its log, and check it with pg_amcheck',
  },
];

const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
  'EACCES',
]);

/** Errors below the protocol, by what Node.js and `pg` say. */
const CONNECTION_RULES: readonly { readonly text: RegExp; readonly code: Code; readonly hint: string }[] = [
  {
    text: /certificate|Hostname.IP does not match|altnames/i,
    code: 'source_tls',
    hint: 'name its authority with sslrootcert=FILE, or trust it unseen with sslmode=no-verify',
  },
  { text: /does not support SSL/, code: 'source_tls', hint: 'add sslmode=disable to the connection string' },
  {
    text: /password must be a (non-empty )?string/,
    code: 'source_access_denied',
    hint: 'it asks for a password: give one in the connection string, in PGPASSWORD or in .pgpass',
  },
  {
    text: /timeout expired/,
    code: 'source_unreachable',
    hint: 'check its address, and firewalls in between',
  },
];

/** What happened at the source, in our words. `doing` completes "while …". */
export function sourceError(thrown: unknown, doing: string): OffshootError {
  if (thrown instanceof OffshootError) {
    return thrown;
  }
  return isDatabaseError(thrown) ? fromDatabaseError(thrown, doing) : fromConnectionError(thrown, doing);
}

function fromConnectionError(thrown: unknown, doing: string): OffshootError {
  const { code, message } = thrown as NodeJS.ErrnoException;
  const text = message || code || String(thrown);
  const rule = CONNECTION_RULES.find((each) => each.text.test(text));
  const plain = code !== undefined && UNREACHABLE.has(code) ? 'source_unreachable' : 'source_lost';
  const hint = rule === undefined ? '' : `; ${rule.hint}`;
  return importError(rule?.code ?? plain, `the source, while ${doing}: ${text}${hint}`, { cause: thrown });
}

function isDatabaseError(thrown: unknown): thrown is DatabaseError {
  return thrown instanceof DatabaseError || (thrown as { severity?: unknown }).severity !== undefined;
}

function fromDatabaseError(error: DatabaseError, doing: string): OffshootError {
  const sqlState = error.code ?? '';
  const text = error.message ?? '';
  const rule = RULES.find((each) => each.sqlState.test(sqlState) && (each.text?.test(text) ?? true));
  const detail = error.detail === undefined ? '' : ` (${error.detail})`;
  const hint = rule?.hint ?? error.hint;
  const message = `the source, while ${doing}: ${text}${detail}${hint === undefined ? '' : `; ${hint}`}`;
  const details: ErrorDetails = { source_sqlstate: sqlState };
  return importError(rule?.code ?? 'source_failed', message, { details, cause: error });
}
