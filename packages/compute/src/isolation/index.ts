export {
  type ComputeSize,
  CPU_MAX,
  CPU_MIN,
  MEMORY_BYTES_MAX,
  MEMORY_BYTES_MIN,
  resolveComputeSize,
  type SizeSettings,
  sizeDefaults,
  sizeOf,
} from './compute-size.js';
export type { ComputeUsage } from './governor.js';
export type { Isolation, IsolationFacts } from './isolation.js';
export { type CgroupChoice, openIsolation } from './open-isolation.js';
