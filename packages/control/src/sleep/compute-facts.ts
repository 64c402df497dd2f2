import type { Compute, Usage } from '@offshoot/client';
import type { ComputeSpec, RunningCompute } from '@offshoot/compute';
import { formatLsn } from '@offshoot/types';

/** A compute as the API shows it, but for what changes while it runs. */
export type ComputeFacts = Omit<Compute, 'activity' | 'state' | 'usage'>;

/** Of one that has just started. */
export function computeFacts(
  branch: string,
  running: RunningCompute,
  { durability = 'sync', access = 'read_write' }: Pick<ComputeSpec, 'durability' | 'access'>,
): ComputeFacts {
  return {
    id: running.id,
    branch,
    access,
    base_lsn: formatLsn(running.baseLsn),
    durability,
    started_at: running.startedAt.toISOString(),
    timings_ms: { ...running.timings },
    socket_directory: running.socketDirectory,
    address: { host: running.host, port: running.port },
    log_file: running.logFile,
  };
}

/** Of one that has ended; `reason`: why, unless it was asked to. */
export function endedFacts(facts: ComputeFacts, reason: string | undefined): ComputeFacts {
  const { socket_directory: _gone, address: _too, ...rest } = facts;
  return { ...rest, ...(reason === undefined ? {} : { reason }) };
}

export function usageView(running: RunningCompute | undefined): Usage | undefined {
  const usage = running?.usage();
  return (
    usage && {
      cpu_share: rounded(usage.cpuShare),
      cpu_used: rounded(usage.cpuUsed),
      memory_bytes: usage.memoryBytes,
      processes: usage.processes,
    }
  );
}

/** Cores, to a hundredth. */
function rounded(cores: number): number {
  return Math.round(100 * cores) / 100;
}
