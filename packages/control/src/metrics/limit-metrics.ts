import type { IsolationFacts } from '@offshoot/compute';
import type { ComputeBook } from '../compute-book.js';
import type { WriteQuotas } from '../quota/write-quotas.js';
import { type Family, type MetricGroup, samplesBy } from './metrics.js';

const families = {
  offshoot_isolation: {
    kind: 'gauge',
    help: 'How computes are kept apart: 1 for the means that is used',
    labels: ['means'],
  },
  offshoot_computes_cpu_share_cores: {
    kind: 'gauge',
    help: 'Present shares of the processor of all computes',
  },
  offshoot_computes_cpu_used_cores: { kind: 'gauge', help: 'Cores that computes kept busy at the last look' },
  offshoot_computes_memory_bytes: { kind: 'gauge', help: 'Memory of all computes' },
  offshoot_computes_processes: { kind: 'gauge', help: 'Processes of all computes' },
  offshoot_computes_writes_refused: {
    kind: 'gauge',
    help: 'Computes whose branch has reached its write quota',
  },
} satisfies Record<string, Family>;

/** What computes use, all together. */
export function limitMetrics(
  computes: Pick<ComputeBook, 'awake'>,
  quotas: Pick<WriteQuotas, 'refused'>,
  isolation: Pick<IsolationFacts, 'means'>,
): MetricGroup<keyof typeof families> {
  return {
    name: 'limits',
    families,
    read: () => {
      const usages = computes.awake().flatMap(({ running }) => running.usage() ?? []);
      const sum = (of: (usage: (typeof usages)[number]) => number) => [
        { value: usages.reduce((all, usage) => all + of(usage), 0) },
      ];
      return {
        offshoot_isolation: samplesBy('means', { cgroup: 0, priorities: 0, [isolation.means]: 1 }),
        offshoot_computes_cpu_share_cores: sum(({ cpuShare }) => cpuShare),
        offshoot_computes_cpu_used_cores: sum(({ cpuUsed }) => cpuUsed),
        offshoot_computes_memory_bytes: sum(({ memoryBytes }) => memoryBytes),
        offshoot_computes_processes: sum(({ processes }) => processes),
        offshoot_computes_writes_refused: [{ value: quotas.refused }],
      };
    },
  };
}
