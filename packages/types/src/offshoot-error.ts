import type { ErrorKind } from './error-kind.js';
import { type ErrorDeclaration, errorDeclaration } from './error-registry.js';

/** Facts about an error, by name; values are text or numbers as a reader wants to see them. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean>>;

/** What an error carries besides its code and message. */
export interface ErrorContext {
  readonly details?: ErrorDetails | undefined;
  /** What led to this error, usually another error. */
  readonly cause?: unknown;
}

/**
 * The one error class of Offshoot's TypeScript. What can be said about a code in general (what to do, SQLSTATE,
 * HTTP status) is declared once, with `defineErrors`; an error adds its message and details.
 */
export class OffshootError extends Error {
  override readonly name = 'OffshootError';
  readonly code: string;
  readonly details: ErrorDetails;

  /** Throws a TypeError when no package declared `code`. */
  constructor(code: string, message: string, context: ErrorContext = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause });
    errorDeclaration(code);
    this.code = code;
    this.details = context.details ?? {};
  }

  /** The code's declaration: kind, SQLSTATE, HTTP status. */
  get declaration(): ErrorDeclaration {
    return errorDeclaration(this.code);
  }

  get kind(): ErrorKind {
    return this.declaration.kind;
  }

  /** Five characters, for Postgres' ErrorResponse. */
  get sqlState(): string {
    return this.declaration.sqlState;
  }

  get httpStatus(): number {
    return this.declaration.httpStatus;
  }

  toJSON(): { code: string; kind: ErrorKind; message: string; details: ErrorDetails } {
    return { code: this.code, kind: this.kind, message: this.message, details: this.details };
  }
}
