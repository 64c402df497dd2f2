import type { Problem } from '@offshoot/client';
import { asOffshootError, type ErrorKind } from '@offshoot/types';
import { usualRetryAfterMs } from './retry-after.js';

const actions: Record<ErrorKind, string> = {
  fix: 'change the request as the detail says, then send it again',
  retry: 'wait a moment, then send the same request again',
  reconnect: 'open a new connection, then send the same request again',
  alert: 'stop, and show this to the person who runs the page server; its log says more',
};

/** Any thrown thing as RFC 9457 problem details. */
export function toProblem(thrown: unknown): Problem {
  const error = asOffshootError(thrown);
  const own = error.details.action;
  const retryAfterMs = error.details.retryAfterMs ?? usualRetryAfterMs(error.code);
  const action = typeof own === 'string' ? own : (error.declaration.action ?? actions[error.kind]);
  return {
    type: 'about:blank',
    title: error.code.replaceAll('_', ' '),
    status: error.httpStatus,
    code: error.code,
    detail: error.message,
    retryable: error.kind === 'retry' || error.kind === 'reconnect',
    ...(typeof retryAfterMs === 'number' ? { retry_after_ms: retryAfterMs } : {}),
    agent_action: action,
  };
}
