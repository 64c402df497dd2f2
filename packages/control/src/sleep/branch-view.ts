import type { Activity, Compute } from '@offshoot/client';
import type { BranchUse } from '@offshoot/pageserver';
import type { BranchPhase } from './branch-lifecycle.js';

/** Why a compute is being stopped. */
export type StopCause = 'asked' | 'idle' | 'room' | 'renewal';

/** As the life of a process. */
export const computeStates: Readonly<Record<BranchPhase, Compute['state']>> = {
  asleep: 'stopped',
  crashed: 'crashed',
  queued: 'starting',
  waking: 'starting',
  giving_up: 'starting',
  awake: 'running',
  asking: 'running',
  ending: 'stopping',
  gone: 'stopped',
};

const activityStates: Readonly<Record<BranchPhase, Activity['state']>> = {
  asleep: 'asleep',
  crashed: 'crashed',
  queued: 'waking',
  waking: 'waking',
  giving_up: 'waking',
  awake: 'awake',
  asking: 'awake',
  ending: 'going_to_sleep',
  gone: 'asleep',
};

/** How a branch is used, as the API shows it. */
export function activityView(phase: BranchPhase, connections: number, use: BranchUse | undefined): Activity {
  const { wakes = 0, lastConnectionAt, lastWake, firstWakeAt, firstConnectionAt, sleptAt } = use ?? {};
  const { firstQueryAt, lastQueryAt } = use ?? {};
  return {
    state: activityStates[phase],
    connections,
    wakes,
    ...(firstWakeAt === undefined ? {} : { first_wake_at: firstWakeAt }),
    ...(firstConnectionAt === undefined ? {} : { first_connection_at: firstConnectionAt }),
    ...(firstQueryAt === undefined ? {} : { first_query_at: firstQueryAt }),
    ...(lastQueryAt === undefined ? {} : { last_query_at: lastQueryAt }),
    ...(sleptAt === undefined ? {} : { slept_at: sleptAt }),
    ...(lastConnectionAt === undefined ? {} : { last_connection_at: lastConnectionAt }),
    ...(lastWake === undefined
      ? {}
      : { last_wake: { at: lastWake.at, phases_ms: { ...lastWake.phasesMs } } }),
  };
}

/** Why a compute is not there any more that nobody asked to stop. */
export function sleepReason(cause: StopCause, idleSeconds: number): string | undefined {
  if (cause === 'asked') return undefined;
  if (cause === 'renewal') return 'it was replaced by one at a newer LSN';
  const idle = `no connection and no work for ${idleSeconds} s`;
  return cause === 'idle'
    ? `it was put to sleep: ${idle}`
    : `it was put to sleep to make room for another: ${idle}`;
}
