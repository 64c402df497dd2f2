import type { ErrorKind } from './error-kind.js';

/** What holds for every error of one code. */
export interface ErrorDeclaration {
  readonly kind: ErrorKind;
  /** Five characters, as in Postgres' appendix of error codes. */
  readonly sqlState: string;
  /** HTTP status of the management API. */
  readonly httpStatus: number;
  /** What to do next, when more can be said than by the kind; an error's own `details.action` goes before it. */
  readonly action?: string;
}

const declarations = new Map<string, ErrorDeclaration>();

/** The declaration of `code`. Throws a TypeError when there is none: a mistake in the program. */
export function errorDeclaration(code: string): ErrorDeclaration {
  const declaration = declarations.get(code);
  if (declaration === undefined) {
    throw new TypeError(`error code ${code} was never declared`);
  }
  return declaration;
}

/** True when some package declared `code`: lets a code that came from elsewhere be checked first. */
export function isErrorCode(code: string): boolean {
  return declarations.has(code);
}

/** Every declared code with its declaration, for the documentation and for tests. */
export function allErrorDeclarations(): ReadonlyMap<string, ErrorDeclaration> {
  return declarations;
}

/**
 * Adds a package's codes to the one registry. Throws a TypeError when a declaration is malformed or a code
 * already means something else. The same declaration twice is accepted: a module may be loaded twice.
 */
export function registerErrors(table: Readonly<Record<string, ErrorDeclaration>>): void {
  for (const [code, declaration] of Object.entries(table)) {
    check(code, declaration);
    declarations.set(code, declaration);
  }
}

function check(code: string, { kind, sqlState, httpStatus, action }: ErrorDeclaration): void {
  if (!/^[a-z][a-z0-9_]*$/.test(code)) {
    throw new TypeError(`error code ${code} is not snake_case`);
  }
  if (!/^[0-9A-Z]{5}$/.test(sqlState)) {
    throw new TypeError(`error code ${code}: ${sqlState} is no SQLSTATE`);
  }
  if (!Number.isInteger(httpStatus) || httpStatus < 400 || httpStatus > 599) {
    throw new TypeError(`error code ${code}: ${httpStatus} is no HTTP error status`);
  }
  const other = declarations.get(code);
  const same =
    other === undefined ||
    (other.kind === kind &&
      other.sqlState === sqlState &&
      other.httpStatus === httpStatus &&
      other.action === action);
  if (!same) {
    throw new TypeError(`error code ${code} is declared twice, differently`);
  }
}
