import type { ComputeSize } from './compute-size.js';

/** A compute's present share of the processor, in cores, and for how many looks it has needed less. */
export interface CpuShare {
  readonly cores: number;
  readonly calmLooks: number;
}

/** What was seen of a compute since the last look. */
export interface CpuLoad {
  /** Cores that were kept busy, on average. */
  readonly usedCores: number;
  /** It was held back by its maximum. */
  readonly heldBack: boolean;
}

type CpuBounds = Pick<ComputeSize, 'cpuMin' | 'cpuMax'>;

/** It is short of its share from this part of it on. */
const BUSY = 0.75;
/** Less than this part of it is little. */
const CALM = 0.35;
/** Looks in a row with little use before the share is halved. */
const CALM_LOOKS = 5;

/** At first all it may have: a start, and the first queries after it, are what somebody waits for. */
export function firstShare({ cpuMax }: CpuBounds): CpuShare {
  return { cores: cpuMax, calmLooks: 0 };
}

/** Up at once, down slowly: doubled when it is used up, halved when little of it has been used for a while. */
export function nextShare(share: CpuShare, { usedCores, heldBack }: CpuLoad, bounds: CpuBounds): CpuShare {
  const within = (cores: number) => Math.min(bounds.cpuMax, Math.max(bounds.cpuMin, cores));
  // The bounds may have changed.
  const cores = within(share.cores);
  if (heldBack || usedCores >= BUSY * cores) {
    return { cores: within(2 * cores), calmLooks: 0 };
  }
  if (usedCores >= CALM * cores) {
    return { cores, calmLooks: 0 };
  }
  const calmLooks = share.calmLooks + 1;
  return calmLooks < CALM_LOOKS ? { cores, calmLooks } : { cores: within(cores / 2), calmLooks: 0 };
}
