import { ApiError, ConnectionError } from '../api-error.js';

export interface RetrySettings {
  /** Calls in all; 1: none is made again. */
  readonly attemptsMax: number;
  /** Before the second call; it doubles with each. */
  readonly pauseMs: number;
  readonly pauseMsMax: number;
}

export const retryDefaults: RetrySettings = { attemptsMax: 6, pauseMs: 200, pauseMsMax: 10_000 };

/** Makes a call again while its failure says that this may help; the server's own word on how long to wait goes first. */
export async function withRetries<T>(
  settings: RetrySettings,
  signal: AbortSignal | undefined,
  call: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call();
    } catch (error) {
      if (attempt >= settings.attemptsMax || !isRetryable(error) || signal?.aborted) throw error;
      await pause(pauseMs(error, attempt, settings), signal);
    }
  }
}

function isRetryable(error: unknown): boolean {
  if (error instanceof ApiError) return error.retryable;
  return error instanceof ConnectionError && error.code !== 'interrupted';
}

/** Half of it by chance: many that were refused together do not come back together. */
function pauseMs(error: unknown, attempt: number, { pauseMs: first, pauseMsMax }: RetrySettings): number {
  const asked = error instanceof ApiError ? (error.problem.retry_after_ms ?? 0) : 0;
  const own = Math.min(pauseMsMax, first * 2 ** (attempt - 1));
  return Math.max(asked, own / 2 + (Math.random() * own) / 2);
}

/** Ends early when the signal aborts; the call after it says so. */
function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done);
  });
}
