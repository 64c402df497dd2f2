import { ApiError } from './api-error.js';

/**
 * What names something, as a part of a path. Throws an ApiError `invalid_argument` for what would not be a part of it: nothing,
 * and what URLs take for steps up.
 */
export function pathSegment(name: string): string {
  if (!['', '.', '..'].includes(name)) return encodeURIComponent(name);
  throw new ApiError({
    type: 'about:blank',
    title: 'invalid_argument',
    status: 400,
    code: 'invalid_argument',
    detail: `${JSON.stringify(name)} is no name`,
    retryable: false,
    agent_action: 'correct the request and send it again',
  });
}
