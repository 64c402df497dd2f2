import type { RunningCompute } from '@offshoot/compute';
import type { Clock } from './clock.js';
import type { WakeSettings } from './wake-settings.js';

export interface WorkQuestion {
  readonly running: RunningCompute;
  readonly clock: Clock;
  readonly settings: Pick<WakeSettings, 'activityTimeoutMs' | 'activityAttemptsMax' | 'activityRetryMs'>;
  /** The answer is not wanted any more. */
  readonly signal: AbortSignal;
}

/** Sessions in the compute. Throws what the last of several attempts failed with, and the signal's reason. */
export async function askForWork(question: WorkQuestion): Promise<number> {
  const { settings, signal, clock } = question;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await askOnce(question);
    } catch (error) {
      signal.throwIfAborted();
      if (attempt >= settings.activityAttemptsMax) throw error;
      await pause(clock, settings.activityRetryMs, signal);
    }
  }
}

async function askOnce({ running, clock, settings, signal }: WorkQuestion): Promise<number> {
  const { activityTimeoutMs } = settings;
  const deadline = new AbortController();
  const callOff = clock.after(activityTimeoutMs, () =>
    deadline.abort(new Error(`it did not answer within ${activityTimeoutMs} ms`)),
  );
  try {
    const { sessions } = await running.activity(AbortSignal.any([signal, deadline.signal]));
    return sessions;
  } finally {
    callOff();
  }
}

function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const callOff = clock.after(ms, () => {
      signal.removeEventListener('abort', abort);
      resolve();
    });
    const abort = () => {
      callOff();
      reject(signal.reason);
    };
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
}
