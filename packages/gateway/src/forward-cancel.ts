import { cancelRequest } from '@offshoot/wire';
import type { ComputeKey } from './cancel-keys.js';
import { type ConnectSettings, connectCompute } from './connect-compute.js';
import { gatewayError } from './gateway-errors.js';

/**
 * Sends a cancel request to the compute, and waits until that closes the connection: it has sent the signal then, and
 * who waits for that knows. Throws `compute_unreachable`, or what `signal` was aborted with.
 */
export async function forwardCancel(
  { address, processId, secret }: ComputeKey,
  settings: ConnectSettings,
  signal: AbortSignal,
): Promise<void> {
  const compute = await connectCompute(address, settings, signal);
  await new Promise<void>((resolve, reject) => {
    const giveUp = () => {
      compute.destroy();
      reject(signal.reason ?? gatewayError('compute_unreachable', 'the compute did not take the request'));
    };
    const timer = setTimeout(giveUp, settings.connectTimeoutMs);
    signal.addEventListener('abort', giveUp);
    compute.once('close', () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', giveUp);
      resolve();
    });
    // It was paused; only its end is of interest.
    compute.resume();
    compute.end(cancelRequest(processId, secret));
  });
}
