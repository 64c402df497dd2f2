import { expect, test } from 'vitest';
import { asOffshootError } from './base-errors.js';
import { defineErrors } from './define-errors.js';
import { errorDeclaration, isErrorCode } from './error-registry.js';
import { OffshootError } from './offshoot-error.js';

const fail = defineErrors({
  sample_gone: { kind: 'fix', sqlState: '42704', httpStatus: 404 },
  sample_busy: { kind: 'retry', sqlState: '55006', httpStatus: 503 },
});

test('an error says what to do, in SQL and in HTTP', () => {
  const cause = new Error('deep');
  const error = fail('sample_gone', 'it is gone', { details: { name: 'x' }, cause });
  expect(error).toBeInstanceOf(OffshootError);
  expect(error).toMatchObject({
    code: 'sample_gone',
    kind: 'fix',
    sqlState: '42704',
    httpStatus: 404,
    cause,
  });
  expect(JSON.parse(JSON.stringify(error))).toEqual({
    code: 'sample_gone',
    kind: 'fix',
    message: 'it is gone',
    details: { name: 'x' },
  });
});

test('the registry knows what was declared and nothing else', () => {
  expect(errorDeclaration('sample_busy').kind).toBe('retry');
  expect(isErrorCode('sample_busy')).toBe(true);
  expect(isErrorCode('no_such_code')).toBe(false);
  expect(() => new OffshootError('no_such_code', '')).toThrow(TypeError);
});

test('a code has one meaning', () => {
  const same = { kind: 'fix', sqlState: '42704', httpStatus: 404 } as const;
  expect(() => defineErrors({ sample_gone: same })).not.toThrow();
  expect(() => defineErrors({ sample_gone: { ...same, httpStatus: 410 } })).toThrow('declared twice');
  expect(() => defineErrors({ sample_gone: { ...same, action: 'look' } })).toThrow('declared twice');
});

test.each([
  ['Sample', '42704', 404, 'snake_case'],
  ['sample_x', '4270', 404, 'SQLSTATE'],
  ['sample_x', '42704', 200, 'HTTP'],
])('declaring %s %s %s is refused', (code, sqlState, httpStatus, why) => {
  expect(() => defineErrors({ [code]: { kind: 'fix', sqlState, httpStatus } })).toThrow(why);
});

test('anything thrown becomes an OffshootError once', () => {
  const known = fail('sample_busy', 'busy');
  expect(asOffshootError(known)).toBe(known);
  const cause = new Error('boom');
  expect(asOffshootError(cause)).toMatchObject({ code: 'internal', kind: 'alert', message: 'boom', cause });
  expect(asOffshootError('text').message).toBe('text');
});
