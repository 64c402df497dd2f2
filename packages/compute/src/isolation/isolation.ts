import type { ComputeSize } from './compute-size.js';

/** What one compute uses, as of one look. */
export interface ComputeUse {
  /** Seconds of processor time of all its processes, since it started. */
  readonly cpuSeconds: number;
  /** Without a control group: what its processes have for themselves. */
  readonly memoryBytes: number;
  readonly processes: number;
  /** Those that run or wait for a processor; unknown with control groups, where the kernel sees to them. */
  readonly busyProcesses?: number;
}

/** The largest shares of busy computes, in cores. */
export interface MostCores {
  readonly ofCompute: number;
  /** A compute's share, divided by those of its processes that want some. */
  readonly ofProcess: number;
}

/** The bounds of one running compute. */
export interface ComputeBounds {
  /** Undefined when it has ended. */
  look(): ComputeUse | undefined;
  /**
   * Its present share of the processor, in cores, and the most that others have of it; undefined while there is enough for
   * all.
   */
  setShare(cores: number, most: MostCores | undefined): void;
  /** Other bounds of CPU. Memory is bounded from the next start on. */
  resize(size: ComputeSize): void;
  /** SIGKILL to every process that is known to be its. */
  kill(): void;
  /** Why the kernel ended one of its processes, if it did because of these bounds. */
  killedFor(): string | undefined;
  /** Its processes are gone. */
  remove(): Promise<void>;
}

/** How computes are kept apart on this machine. */
export interface Isolation {
  readonly facts: IsolationFacts;
  /** Bounds the compute whose postmaster has just been started, and all that it starts. */
  confine(id: string, pid: number, size: ComputeSize): ComputeBounds;
  /** Kills and removes what a former daemon left; answers the ids of processes that were killed. */
  sweep(): Promise<readonly number[]>;
  close(): Promise<void>;
}

export interface IsolationFacts {
  readonly means: 'cgroup' | 'priorities';
  /** Directory of the control group below which each compute has its own. */
  readonly cgroup?: string;
  /** Why there are no control groups. */
  readonly reason?: string;
  /** In words. */
  readonly enforced: readonly string[];
  readonly notEnforced: readonly string[];
}
