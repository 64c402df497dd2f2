import type { Socket } from 'node:net';
import { FirstAnswer } from './first-answer.js';
import { gatewayError } from './gateway-errors.js';

/**
 * Sends a compute the start-up packet. Resolves when it has begun to answer, with the socket paused and all of the
 * answer still to be read from it. Throws `compute_gone`, `compute_unreachable`, and what `signal` is aborted with.
 */
export async function beginStartup(
  compute: Socket,
  startup: Uint8Array,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<'taken' | 'not_now'> {
  const undo: (() => void)[] = [];
  try {
    return await new Promise((resolve, reject) => {
      const answer = new FirstAnswer();
      const late = () =>
        gatewayError('compute_unreachable', `the compute did not take the connection within ${timeoutMs} ms`);
      const timer = setTimeout(() => reject(late()), timeoutMs);
      undo.push(() => clearTimeout(timer));
      const onData = (chunk: Buffer) => {
        const word = answer.push(chunk);
        if (word === 'more') return;
        // At once: what comes next in this very moment is the next reader's.
        compute.off('data', onData);
        compute.pause();
        compute.unshift(answer.bytes);
        resolve(word);
      };
      const onEnd = () => reject(gatewayError('compute_gone', 'the compute ended before it answered'));
      const onAbort = () => reject(signal.reason);
      compute.on('data', onData).on('end', onEnd).on('close', onEnd);
      signal.addEventListener('abort', onAbort);
      undo.push(() => compute.off('data', onData).off('end', onEnd).off('close', onEnd));
      undo.push(() => signal.removeEventListener('abort', onAbort));
      if (signal.aborted) onAbort();
      if (compute.destroyed) onEnd();
      compute.write(startup);
      compute.resume();
    });
  } finally {
    for (const step of undo) step();
  }
}
