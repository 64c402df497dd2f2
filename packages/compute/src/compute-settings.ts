import { computeError } from './compute-errors.js';

/** What can be chosen for one compute. Everything else follows from the branch or is fixed. */
export interface ComputeSettings {
  /** Postgres' own buffer pool. Small: behind it the kernel caches the compute's local files. */
  readonly sharedBuffersBytes: number;
  readonly workMemBytes: number;
  readonly maintenanceWorkMemBytes: number;
  /** What the planner takes for the cache of its files. */
  readonly effectiveCacheBytes: number;
  /** Temporary files of one process, beyond which its statement fails. */
  readonly tempFileBytesMax: number;
  /** At least what production had is used. */
  readonly maxConnections: number;
  /** Local WAL that makes Postgres write a checkpoint record and drop the WAL before it. */
  readonly maxWalSizeBytes: number;
  /** WAL that the page server has not yet taken in. Beyond it the compute is stopped before it fills its disk. */
  readonly unsentWalBytesMax: number;
  readonly maxParallelWorkers: number;
  readonly maxParallelWorkersPerGather: number;
  readonly autovacuumWorkers: number;
  readonly autovacuumNaptimeSeconds: number;
  readonly checkpointTimeoutSeconds: number;
  /** How long a read of a page is retried while the page server is away, before the query fails. */
  readonly pageRetryMs: number;
  /** Most pages that a sequential read asks for ahead. */
  readonly readAheadPages: number;
  /** Further Postgres parameters, by name, for example production's `shared_preload_libraries`. */
  readonly parameters: Readonly<Record<string, string>>;
}

const MIB = 1024 * 1024;

export const defaultComputeSettings: ComputeSettings = {
  sharedBuffersBytes: 64 * MIB,
  workMemBytes: 4 * MIB,
  maintenanceWorkMemBytes: 64 * MIB,
  effectiveCacheBytes: 1536 * MIB,
  tempFileBytesMax: 4096 * MIB,
  maxConnections: 250,
  maxWalSizeBytes: 1024 * MIB,
  unsentWalBytesMax: 16 * 1024 * MIB,
  maxParallelWorkers: 2,
  maxParallelWorkersPerGather: 2,
  autovacuumWorkers: 1,
  autovacuumNaptimeSeconds: 60,
  checkpointTimeoutSeconds: 3600,
  pageRetryMs: 60_000,
  readAheadPages: 64,
  parameters: {},
};

type Limits = Readonly<Record<Exclude<keyof ComputeSettings, 'parameters'>, readonly [number, number]>>;

/** Postgres 15's own limits, in our units; the buffer pool's floor is what it needs to start. */
const limits: Limits = {
  sharedBuffersBytes: [1 * MIB, 2 ** 43],
  workMemBytes: [64 * 1024, 2 ** 41],
  maintenanceWorkMemBytes: [1 * MIB, 2 ** 41],
  effectiveCacheBytes: [1 * MIB, 2 ** 43],
  tempFileBytesMax: [1 * MIB, 2 ** 41],
  maxConnections: [1, 262_143],
  maxWalSizeBytes: [32 * MIB, 2 ** 50],
  unsentWalBytesMax: [64 * MIB, 2 ** 50],
  maxParallelWorkers: [0, 1024],
  maxParallelWorkersPerGather: [0, 1024],
  autovacuumWorkers: [1, 262_143],
  autovacuumNaptimeSeconds: [1, 2_147_483],
  checkpointTimeoutSeconds: [30, 86_400],
  pageRetryMs: [0, 86_400_000],
  readAheadPages: [0, 1024],
};

/** Parts over defaults, checked. Throws `compute_setting_invalid`. */
export function resolveComputeSettings(
  parts: Partial<ComputeSettings> = {},
  defaults: ComputeSettings = defaultComputeSettings,
): ComputeSettings {
  const settings = { ...defaults, ...parts, parameters: { ...defaults.parameters, ...parts.parameters } };
  for (const [name, [least, most]] of Object.entries(limits)) {
    const value = settings[name as keyof Limits];
    if (!Number.isSafeInteger(value) || value < least || value > most) {
      throw computeError(
        'compute_setting_invalid',
        `${name} is ${value}; it must be a whole number from ${least} to ${most}`,
        { details: { setting: name, value } },
      );
    }
  }
  return settings;
}
