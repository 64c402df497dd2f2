import { setTimeout as sleep } from 'node:timers/promises';
import type { BranchRecord, PageServer } from '@offshoot/pageserver';
import type { ComputeBook } from './compute-book.js';
import { controlError } from './control-errors.js';

/** Default of the longest wait for what a parent's compute has written. */
const SETTLE_MS_MAX = 30_000;
/** A compute that has crashed is known to have ended by then. */
const ENDS_SOON_MS = 2_000;

/**
 * Everything that was committed on the branch before the call is in its pages when this resolves, whether its compute
 * runs, ends just now, or is gone. Throws `branch_point_not_reached` when that takes too long, and what stands in the way.
 */
export async function settleParent(
  pageServer: PageServer,
  computes: ComputeBook,
  branch: BranchRecord,
  timeoutMs = SETTLE_MS_MAX,
): Promise<void> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    await unlessAborted(settle(pageServer, computes, branch, signal), signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    throw controlError(
      'branch_point_not_reached',
      `what was written on branch ${branch.name} did not arrive within ${timeoutMs} ms`,
      { cause: error },
    );
  }
}

async function settle(
  pageServer: PageServer,
  computes: ComputeBook,
  branch: BranchRecord,
  signal: AbortSignal,
): Promise<void> {
  const compute = computes.alive(branch.id);
  if (compute?.state === 'running') {
    try {
      const lsn = await compute.running.flushedLsn(signal);
      return await pageServer.settleBranch(branch, lsn, signal);
    } catch (error) {
      signal.throwIfAborted();
      const ends = await Promise.race([compute.running.ended, sleep(ENDS_SOON_MS, 'goes on' as const)]);
      if (ends === 'goes on') {
        if (compute.durability === 'async') throw error;
        // It takes no more connections, say. What it had acknowledged was on our disk before.
        return await pageServer.settleBranch(branch, undefined, signal);
      }
    }
  }
  // It sends what is left while it ends.
  await compute?.running.ended;
  await pageServer.settleBranch(branch, undefined, signal);
}

/** Rejects with the signal's reason when that comes first. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
