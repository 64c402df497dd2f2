import type { ComputeSize } from './compute-size.js';

/** What was seen of a compute and of the machine since the last look. */
export interface CpuLoad {
  /** Cores that the compute kept busy, on average. */
  readonly usedCores: number;
  /** Cores that each compute that wants some would have if all had the same of what they have together. */
  readonly equalCores: number;
  /** Whether other computes want the processor too, and there is not enough of it. */
  readonly contended: boolean;
}

type CpuBounds = Pick<ComputeSize, 'cpuMin' | 'cpuMax'>;

/** Who takes from this part of an equal one on takes much. */
const MUCH = 0.75;
/** Less than this part of it is little. */
const LITTLE = 0.5;
/** Factor on the way back to the maximum: what others want may come in pieces, with pauses longer than a look. */
const BACK = 1.25;

/**
 * A compute's next share of the processor, in cores. As long as there is enough for all it tends to its maximum. Else
 * whoever takes much goes down by halves to its minimum, and whoever takes little goes up again: work that comes in small
 * pieces is not kept waiting by work that never ends, and two that both take much meet at their minimums.
 */
export function nextShare(
  share: number,
  { usedCores, equalCores, contended }: CpuLoad,
  { cpuMin, cpuMax }: CpuBounds,
): number {
  const within = (cores: number) => Math.min(cpuMax, Math.max(cpuMin, cores));
  if (!contended) return within(share * BACK);
  if (usedCores >= MUCH * equalCores) return within(share / 2);
  return usedCores < LITTLE * equalCores ? within(share * 2) : within(share);
}
