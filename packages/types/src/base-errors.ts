import { defineErrors } from './define-errors.js';
import { OffshootError } from './offshoot-error.js';

/** Codes that any package may need. */
export const baseError = defineErrors({
  /** A value does not have the form it should have. */
  invalid_argument: { kind: 'fix', sqlState: '22023', httpStatus: 400 },
  /** An error that nobody expected here: a mistake in the program. */
  internal: { kind: 'alert', sqlState: 'XX000', httpStatus: 500 },
});

/** Any thrown thing as an OffshootError: itself when it is one, else code `internal` with the thing as its cause. */
export function asOffshootError(thrown: unknown): OffshootError {
  if (thrown instanceof OffshootError) {
    return thrown;
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return baseError('internal', message, { cause: thrown });
}
