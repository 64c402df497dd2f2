import { ApiError } from '../api-error.js';
import type { Problem } from '../schemas.js';

/** The request is wrong as it stands (400, 413, 415, 422). */
export class InvalidRequestError extends ApiError {}
/** The token is none, has expired, or is not for this (401, 403). */
export class AccessError extends ApiError {}
/** There is no such thing (404). */
export class NotFoundError extends ApiError {}
/** What is there stands in the way (409). */
export class ConflictError extends ApiError {}
/** As much as there may be of something is there, or asked for in this time (429). */
export class LimitError extends ApiError {}
/** The page server cannot do it now, or failed (500 and above). */
export class ServerError extends ApiError {}

/** The error for a refusal: which class says what kind, `code` says which. */
export function apiErrorOf(problem: Problem): ApiError {
  const { status } = problem;
  if (status === 401 || status === 403) return new AccessError(problem);
  if (status === 404) return new NotFoundError(problem);
  if (status === 409) return new ConflictError(problem);
  if (status === 429) return new LimitError(problem);
  return status >= 500 ? new ServerError(problem) : new InvalidRequestError(problem);
}
