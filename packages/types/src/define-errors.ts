import { type ErrorDeclaration, registerErrors } from './error-registry.js';
import { type ErrorContext, OffshootError } from './offshoot-error.js';

/** Makes errors of one package's codes: `throw fail('tenant_not_found', 'tenant shop does not exist')`. */
export type ErrorFactory<Code extends string> = (
  code: Code,
  message: string,
  context?: ErrorContext,
) => OffshootError;

/**
 * Declares a package's error codes and answers the factory for them. Codes are snake_case and belong to the whole
 * program: two packages cannot give one code two meanings.
 */
export function defineErrors<const Table extends Readonly<Record<string, ErrorDeclaration>>>(
  table: Table,
): ErrorFactory<keyof Table & string> {
  registerErrors(table);
  return (code, message, context) => new OffshootError(code, message, context);
}
