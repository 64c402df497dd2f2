import type { Problem } from './schemas.js';

/** The server's own refusal or failure: its problem details as an Error. */
export class ApiError extends Error {
  override readonly name = 'ApiError';

  constructor(readonly problem: Problem) {
    super(problem.detail);
  }

  get code(): string {
    return this.problem.code;
  }

  get retryable(): boolean {
    return this.problem.retryable;
  }
}

/** No answer that the client can use: the server is not there, or it is not Offshoot. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly code = 'no_connection';
  readonly retryable = true;
}
