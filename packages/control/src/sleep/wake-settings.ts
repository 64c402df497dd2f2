import { availableParallelism } from 'node:os';
import { baseError } from '@offshoot/types';

/** When computes are put to sleep, and how many wake at a time. */
export interface WakeSettings {
  /** Of branches that have none of their own; 0: they never sleep. */
  readonly idleTimeoutSeconds: number;
  /** Starts at one time; the others wait for their turn. */
  readonly startsMax: number;
  /** Wakes that wait for room or for their turn. */
  readonly queueMax: number;
  /** The longest such wait. */
  readonly queueTimeoutMs: number;
  /** One question to a compute whether there is work. */
  readonly activityTimeoutMs: number;
  /** Such questions in a row when there is no answer, and the pause in between. */
  readonly activityAttemptsMax: number;
  readonly activityRetryMs: number;
  /** A compute that had work is not asked to make room again for so long. */
  readonly busyLookMs: number;
  /**
   * A compute that reads only, which nobody is connected to, is replaced for the next connection by one at the newest LSN when
   * it was started longer ago than this.
   */
  readonly renewAfterSeconds: number;
  /** How long a running compute may take to make a change of its branch's own role. */
  readonly roleTimeoutMs: number;
}

/** A start keeps a core busy about half of the time: it waits for the disk and for others' processes. */
const STARTS_PER_CORE = 2;

export const wakeDefaults: WakeSettings = {
  idleTimeoutSeconds: 300,
  startsMax: STARTS_PER_CORE * availableParallelism(),
  queueMax: 1000,
  queueTimeoutMs: 30_000,
  activityTimeoutMs: 5_000,
  activityAttemptsMax: 3,
  activityRetryMs: 1_000,
  busyLookMs: 5_000,
  renewAfterSeconds: 10,
  roleTimeoutMs: 30_000,
};

/** A longer one would run out at once. */
const TIMER_SECONDS_MAX = 2_147_483;

const limits: { readonly [Name in keyof WakeSettings]: readonly [number, number] } = {
  idleTimeoutSeconds: [0, TIMER_SECONDS_MAX],
  startsMax: [1, 10_000],
  queueMax: [0, 1_000_000],
  queueTimeoutMs: [1, TIMER_SECONDS_MAX * 1000],
  activityTimeoutMs: [1, TIMER_SECONDS_MAX * 1000],
  activityAttemptsMax: [1, 1000],
  activityRetryMs: [1, TIMER_SECONDS_MAX * 1000],
  busyLookMs: [1, TIMER_SECONDS_MAX * 1000],
  renewAfterSeconds: [0, TIMER_SECONDS_MAX],
  roleTimeoutMs: [1, TIMER_SECONDS_MAX * 1000],
};

/** Parts over defaults, checked. Throws `invalid_argument`. */
export function resolveWakeSettings(parts: Partial<WakeSettings> = {}): WakeSettings {
  const settings = { ...wakeDefaults, ...parts };
  for (const [name, [least, most]] of Object.entries(limits)) {
    const value = settings[name as keyof WakeSettings];
    if (!Number.isSafeInteger(value) || value < least || value > most) {
      throw baseError(
        'invalid_argument',
        `${name} is ${value}; it must be a whole number from ${least} to ${most}`,
      );
    }
  }
  return settings;
}
