import type { ComputeBook } from '../compute-book.js';
import type { ComputeRoom } from '../sleep/compute-room.js';
import type { WakeObserver } from '../sleep/wake-observer.js';
import { type Family, type MetricGroup, type Metrics, samplesBy } from './metrics.js';

const families = {
  offshoot_branches_by_activity: {
    kind: 'gauge',
    help: 'Branches, by what their computes are at',
    labels: ['state'],
  },
  offshoot_computes_max: { kind: 'gauge', help: 'Computes that may be there at one time' },
  offshoot_wakes_waiting: { kind: 'gauge', help: 'Wakes that wait for room or for their turn' },
  offshoot_wake_failures_total: {
    kind: 'counter',
    help: 'Wakes that failed, by what they were at and why',
    labels: ['phase', 'code'],
  },
  offshoot_evictions_total: { kind: 'counter', help: 'Computes put to sleep to make room for another' },
} satisfies Record<string, Family>;

/** How branches wake and sleep. `branches`: how many there are. */
export function wakeMetrics(
  computes: Pick<ComputeBook, 'counters' | 'countsByActivity'>,
  room: Pick<ComputeRoom, 'limits' | 'waiting'>,
  branches: () => number,
): MetricGroup<keyof typeof families> {
  return {
    name: 'wakes',
    families,
    read: () => {
      const { evictions, wakeFailures } = computes.counters;
      const { asleep: _known, ...counts } = computes.countsByActivity();
      const others = Object.values(counts).reduce((sum, count) => sum + count, 0);
      return {
        offshoot_branches_by_activity: samplesBy('state', {
          // Of most of them nothing is known but that they are there.
          asleep: Math.max(0, branches() - others),
          ...counts,
        }),
        offshoot_computes_max: [{ value: room.limits.computesMax }],
        offshoot_wakes_waiting: [{ value: room.waiting }],
        offshoot_wake_failures_total: wakeFailures.all().map(({ phase, code, count }) => ({
          labels: { phase, code },
          value: count,
        })),
        offshoot_evictions_total: [{ value: evictions }],
      };
    },
  };
}

/** Tells the metrics how long opening a branch took, and each phase of a wake. */
export function wakeObserver(metrics: Metrics): WakeObserver {
  const open = metrics.durations({
    name: 'offshoot_branch_open_seconds',
    help: 'How long a connection waited for its branch',
    labels: ['how'],
  });
  const phases = metrics.durations({
    name: 'offshoot_wake_phase_seconds',
    help: 'Phases of wakes that succeeded, and their total',
    labels: ['phase'],
  });
  return {
    opened: (how, ms) => open({ how }, ms),
    woken: (phasesMs) => {
      for (const [phase, ms] of Object.entries(phasesMs)) phases({ phase }, ms);
    },
  };
}
