import { formatLsn, type Lsn } from '@offshoot/types';
import { pageServiceError } from './page-service-error.js';
import type { TimelinePages } from './page-source.js';

/**
 * Waits until a timeline has come to `lsn`, for at most `timeoutMs`. Rejects with `lsn_wait_timeout`, or the signal's
 * reason.
 */
export async function waitForLsn(
  pages: TimelinePages,
  lsn: Lsn,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  if (pages.lastRecordLsn() >= lsn) {
    return;
  }
  const waiting = new AbortController();
  const abort = () => waiting.abort(signal.reason);
  const timer = setTimeout(() => waiting.abort(timedOut(pages, lsn)), Math.max(0, timeoutMs));
  signal.addEventListener('abort', abort, { once: true });
  try {
    await pages.waitForLsn(lsn, waiting.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}

function timedOut(pages: TimelinePages, lsn: Lsn): Error {
  const [wanted, reached] = [formatLsn(lsn), formatLsn(pages.lastRecordLsn())];
  return pageServiceError('lsn_wait_timeout', `LSN ${wanted} did not come in time; ${reached} is reached`, {
    details: { wanted, reached },
  });
}
