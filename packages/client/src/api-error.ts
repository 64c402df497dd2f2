import type { Problem } from './schemas.js';

/** The server's own refusal or failure: its problem details as an Error. */
export class ApiError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail);
    this.name = new.target.name;
  }

  get code(): string {
    return this.problem.code;
  }

  get retryable(): boolean {
    return this.problem.retryable;
  }
}

const actions = {
  /** The server is not there, or it is not Offshoot. */
  no_connection: 'check that the page server runs and that the address is its own, then ask again',
  /** It took longer than the caller waits; the server may still be at it. */
  no_answer_in_time:
    'the page server may still be working on it: look what has become of it before you ask again',
  /** The caller gave up. */
  interrupted: 'the page server goes on with what it was asked for: look what has become of it',
} as const;

/** No answer that the client can use. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly retryable = true;

  constructor(
    message: string,
    readonly code: keyof typeof actions = 'no_connection',
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  get agentAction(): string {
    return actions[this.code];
  }
}
