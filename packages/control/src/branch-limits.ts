import type { UpdateBranchRequest } from '@offshoot/client';
import { type ComputeDriver, type ComputeSize, computeError, resolveComputeSize } from '@offshoot/compute';
import type { BranchRecord, BranchSettings } from '@offshoot/pageserver';

/** What is chosen of how a branch runs. */
export type ComputeChoice = Omit<BranchSettings, 'expiresAt' | 'labels' | 'protected' | 'snapshots'>;

/** What was chosen of a branch's size, in the driver's words. */
export function chosenSize({ cpuMin, cpuMax, memoryBytes }: BranchSettings): Partial<ComputeSize> {
  return {
    ...(cpuMin === undefined ? {} : { cpuMin }),
    ...(cpuMax === undefined ? {} : { cpuMax }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
  };
}

/** What was chosen of how it runs, and nothing else. */
export function settingsOf(request: UpdateBranchRequest): ComputeChoice {
  const { durability, idle_timeout, cpu_min, cpu_max, memory_bytes, write_quota_bytes } = request;
  return {
    ...(durability === undefined ? {} : { durability }),
    ...(idle_timeout === undefined ? {} : { idleTimeoutSeconds: idle_timeout }),
    ...(cpu_min === undefined ? {} : { cpuMin: cpu_min }),
    ...(cpu_max === undefined ? {} : { cpuMax: cpu_max }),
    ...(memory_bytes === undefined ? {} : { memoryBytes: memory_bytes }),
    ...(write_quota_bytes === undefined ? {} : { writeQuotaBytes: write_quota_bytes }),
  };
}

/** Sizes and quotas of branches, over the defaults of all. */
export class BranchLimits {
  constructor(
    private readonly computes: Pick<ComputeDriver, 'cores' | 'defaultSize'>,
    private readonly writeBytesMax: number,
  ) {}

  /** Throws `compute_setting_invalid` when the parts do not fit together. */
  sizeOf(branch: BranchSettings): ComputeSize {
    return resolveComputeSize(chosenSize(branch), this.computes.defaultSize);
  }

  /**
   * What is chosen now, over what was chosen `before`. Throws `compute_setting_invalid`. A minimum from before may be more
   * than there is, on a machine that has become smaller.
   */
  expectSize(choice: BranchSettings, before: BranchSettings): void {
    const { cores } = this.computes;
    const { cpuMin = 0 } = choice;
    if (cpuMin > cores) {
      throw computeError(
        'compute_setting_invalid',
        `the minimum of CPU is ${cpuMin} cores, and this machine has ${cores}; no more can be kept for a branch`,
        { details: { setting: 'size' } },
      );
    }
    this.sizeOf({ ...before, ...choice });
  }

  /** 0: none. */
  writeQuotaBytesOf({ writeQuotaBytes }: Pick<BranchRecord, 'writeQuotaBytes'>): number {
    return writeQuotaBytes ?? this.writeBytesMax;
  }
}
