import { availableParallelism, totalmem } from 'node:os';
import { computeError } from '../compute-errors.js';
import type { ComputeSettings } from '../compute-settings.js';

/** How large a branch's compute is. */
export interface ComputeSize {
  /** Cores, also parts of one: its share of the processor is never less, nor more than `cpuMax`. */
  readonly cpuMin: number;
  readonly cpuMax: number;
  /** All its processes together, the kernel's cache of its files included where a control group counts it. */
  readonly memoryBytes: number;
}

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** What a machine has, or what the control group leaves of it. */
export interface Machine {
  readonly memoryBytes: number;
  readonly cores: number;
}

export function thisMachine(): Machine {
  // Older versions of Node.js answer undefined or nothing sensible where there is no limit.
  const limitBytes = process.constrainedMemory?.() || Number.POSITIVE_INFINITY;
  return { memoryBytes: Math.min(totalmem(), limitBytes), cores: availableParallelism() };
}

/** Sizes of branches that have none of their own; whole numbers, as all settings. */
export interface SizeSettings {
  readonly cpuMinMillicores: number;
  readonly cpuMaxMillicores: number;
  readonly memoryBytes: number;
}

/** Memory is a limit and nothing that is kept free for it: the sizes of all computes may add up to more than there is. */
export function sizeDefaultsOf({ memoryBytes, cores }: Machine): SizeSettings {
  return {
    cpuMinMillicores: 250,
    cpuMaxMillicores: 1000 * cores,
    memoryBytes: Math.max(MEMORY_BYTES_MIN, Math.min(2 * GIB, Math.floor(memoryBytes / 4 / MIB) * MIB)),
  };
}

export const CPU_MIN = 0.01;
export const CPU_MAX = 1024;
/** A Postgres with its library, a small buffer pool and a few sessions. */
export const MEMORY_BYTES_MIN = 128 * MIB;
export const MEMORY_BYTES_MAX = 2 ** 46;

export const sizeDefaults: SizeSettings = sizeDefaultsOf(thisMachine());

export function sizeOf(settings: SizeSettings): ComputeSize {
  return {
    cpuMin: settings.cpuMinMillicores / 1000,
    cpuMax: settings.cpuMaxMillicores / 1000,
    memoryBytes: settings.memoryBytes,
  };
}

/** Parts over defaults, checked. Throws `compute_setting_invalid`, which says what can be. */
export function resolveComputeSize(parts: Partial<ComputeSize>, defaults: ComputeSize): ComputeSize {
  const size = fitted({ ...defaults, ...parts }, parts);
  const { cpuMin, cpuMax, memoryBytes } = size;
  for (const [name, cores] of [
    ['the minimum of CPU', cpuMin],
    ['the maximum of CPU', cpuMax],
  ] as const) {
    if (!(cores >= CPU_MIN && cores <= CPU_MAX)) {
      throw invalid(`${name} is ${cores}; it must be from ${CPU_MIN} to ${CPU_MAX} cores`);
    }
  }
  if (cpuMin > cpuMax) {
    throw invalid(`the minimum of CPU is ${cpuMin} cores and the maximum ${cpuMax}; it must not be less`);
  }
  if (
    !(Number.isSafeInteger(memoryBytes) && memoryBytes >= MEMORY_BYTES_MIN && memoryBytes <= MEMORY_BYTES_MAX)
  ) {
    throw invalid(`memory is ${memoryBytes} bytes; it must be from ${MEMORY_BYTES_MIN / MIB} MiB to 64 TiB`);
  }
  return size;
}

/** Where one of the two is chosen, the default of the other gives way. */
function fitted(size: ComputeSize, { cpuMin, cpuMax }: Partial<ComputeSize>): ComputeSize {
  if (cpuMin !== undefined && cpuMax === undefined) return { ...size, cpuMax: Math.max(cpuMin, size.cpuMax) };
  if (cpuMax !== undefined && cpuMin === undefined) return { ...size, cpuMin: Math.min(cpuMax, size.cpuMin) };
  return size;
}

function invalid(message: string) {
  return computeError('compute_setting_invalid', message, { details: { setting: 'size' } });
}

/** A buffer pool beyond it gains little: behind it the kernel caches the compute's local files. */
const SHARED_BUFFERS_BYTES_MAX = 16 * GIB;
const PARALLEL_WORKERS_MAX = 64;

/** Postgres' settings that follow the size: 64 MiB of buffers and 4 MiB of work_mem at 2 GiB. */
export function settingsOfSize({ cpuMax, memoryBytes }: ComputeSize): SizedSettings {
  const part = (divisor: number, least: number, most: number) =>
    Math.min(most, Math.max(least, Math.floor(memoryBytes / divisor / 8192) * 8192));
  const workers = Math.min(PARALLEL_WORKERS_MAX, Math.ceil(cpuMax));
  return {
    sharedBuffersBytes: part(32, 16 * MIB, SHARED_BUFFERS_BYTES_MAX),
    effectiveCacheBytes: part(4 / 3, 16 * MIB, 2 ** 42),
    workMemBytes: part(512, MIB, GIB),
    maintenanceWorkMemBytes: part(32, 16 * MIB, 2 * GIB),
    maxParallelWorkers: workers,
    maxParallelWorkersPerGather: Math.min(workers, Math.max(2, Math.floor(workers / 2))),
  };
}

export type SizedSettings = Pick<
  ComputeSettings,
  | 'sharedBuffersBytes'
  | 'effectiveCacheBytes'
  | 'workMemBytes'
  | 'maintenanceWorkMemBytes'
  | 'maxParallelWorkers'
  | 'maxParallelWorkersPerGather'
>;

/**
 * What one process may have for itself. Beyond it its statement fails with "out of memory", where the kernel's killer
 * would end the whole compute; what is left is for the buffer pool and the other processes.
 */
export function dataBytesMaxOf({ memoryBytes }: ComputeSize): number {
  return Math.floor((memoryBytes * 5) / 8);
}
