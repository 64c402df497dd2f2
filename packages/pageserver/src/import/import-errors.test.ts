import { DatabaseError } from 'pg-protocol';
import { describe, expect, it } from 'vitest';
import { importError, sourceError } from './import-errors.js';

function reported(sqlState: string, message: string): DatabaseError {
  return Object.assign(new DatabaseError(message, message.length, 'error'), {
    code: sqlState,
    severity: 'FATAL',
  });
}

describe('an error at the source', () => {
  it.each([
    [
      '28000',
      'no pg_hba.conf entry for host "::1", no encryption',
      'source_access_denied',
      /sslmode=verify-full/,
    ],
    [
      '28000',
      'no pg_hba.conf entry for host "::1", SSL encryption',
      'source_access_denied',
      /host replication/,
    ],
    ['28000', 'role "alice" does not exist', 'source_access_denied', /check the user/],
    ['53300', 'sorry, too many clients already', 'source_settings', /max_connections/],
    [
      '55000',
      'replication slots can only be used if max_replication_slots > 0',
      'source_settings',
      /max_replication_slots/,
    ],
    ['57P03', 'the database system is starting up', 'source_unreachable', /try again/],
    ['XX001', 'checksum verification failure during base backup', 'source_failed', /pg_amcheck/],
    [
      '53100',
      'could not write: No space left on device',
      'source_failed',
      /while doing something: could not write/,
    ],
  ])('%s %s becomes %s', (sqlState, text, code, message) => {
    const error = sourceError(reported(sqlState, text), 'doing something');
    expect(error).toMatchObject({ code, details: { source_sqlstate: sqlState } });
    expect(error.message).toMatch(message);
  });

  it.each([
    [
      { code: 'ECONNREFUSED', message: 'connect ECONNREFUSED ::1:5432' },
      'source_unreachable',
      /ECONNREFUSED/,
    ],
    // Node.js gives several refused addresses no message of their own.
    [{ code: 'ECONNREFUSED', message: '' }, 'source_unreachable', /: ECONNREFUSED$/],
    [{ code: 'ECONNRESET', message: 'read ECONNRESET' }, 'source_lost', /read ECONNRESET$/],
    [
      { code: 'DEPTH_ZERO_SELF_SIGNED_CERT', message: 'self-signed certificate' },
      'source_tls',
      /sslmode=no-verify/,
    ],
    [{ message: 'The server does not support SSL connections' }, 'source_tls', /sslmode=disable/],
    [{ message: 'timeout expired' }, 'source_unreachable', /firewalls/],
    [
      { message: 'SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string' },
      'source_access_denied',
      /PGPASSWORD/,
    ],
  ])('%j becomes %s', (fields, code, message) => {
    const error = sourceError(Object.assign(new Error(), fields), 'connecting');
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  it('stays as it is when it is ours', () => {
    const error = importError('import_cancelled', 'enough');
    expect(sourceError(error, 'connecting')).toBe(error);
  });
});
