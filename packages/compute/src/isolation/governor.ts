import type { ComputeSize } from './compute-size.js';
import { nextShare } from './cpu-share.js';
import type { ComputeBounds, ComputeUse, Isolation, MostCores } from './isolation.js';
import { isScarce, type ProcessorTime, processorTime } from './machine-load.js';

/** What a running compute uses, and may. */
export interface ComputeUsage {
  /** Its present share of the processor, in cores. */
  readonly cpuShare: number;
  /** Cores that it kept busy at the last look. */
  readonly cpuUsed: number;
  readonly memoryBytes: number;
  readonly processes: number;
}

export interface GovernorOptions {
  readonly isolation: Isolation;
  readonly lookMs: number;
  /** Milliseconds; default: `performance.now`. */
  readonly now?: (() => number) | undefined;
  /** Default: this machine's. */
  readonly processorTime?: (() => ProcessorTime | undefined) | undefined;
}

interface Governed {
  readonly bounds: ComputeBounds;
  /** Ends it. */
  readonly exceeded: (reason: string) => void;
  size: ComputeSize;
  share: number;
  use: ComputeUse | undefined;
  usedCores: number;
  lookedMs: number;
  /** Looks at which it had more memory than its size. */
  looksOver: number;
  /** Looks since it was found to do nothing. */
  looksIdle: number;
}

/** Used less than this, a compute does not want the processor. */
const IDLE_CORES = 0.05;
/** A compute that has more memory than its size, where the kernel does not count, is ended at this look in a row. */
const LOOKS_OVER_MAX = 2;
/** One that has been idle for so many looks is looked at only at each so-many-th: there may be hundreds of them. */
const LOOKS_IDLE = 5;

/** Looks at all computes again and again, and moves their shares of the processor with their load. */
export class Governor {
  readonly #governed = new Map<string, Governed>();
  readonly #now: () => number;
  readonly #processorTime: () => ProcessorTime | undefined;
  #time: ProcessorTime | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly options: GovernorOptions) {
    this.#now = options.now ?? (() => performance.now());
    this.#processorTime = options.processorTime ?? processorTime;
    this.#time = this.#processorTime();
  }

  /** `exceeded` is called when it has to be ended because of what it uses. */
  add(id: string, bounds: ComputeBounds, size: ComputeSize, exceeded: (reason: string) => void): void {
    // A start, and the first queries after it, are what somebody waits for.
    const share = size.cpuMax;
    const lookedMs = this.#now();
    this.#governed.set(id, {
      bounds,
      exceeded,
      size,
      share,
      use: bounds.look(),
      usedCores: 0,
      lookedMs,
      looksOver: 0,
      looksIdle: 0,
    });
    this.#timer ??= setInterval(() => this.look(), this.options.lookMs).unref();
  }

  remove(id: string): void {
    this.#governed.delete(id);
    if (this.#governed.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  resize(id: string, cpu: Pick<ComputeSize, 'cpuMin' | 'cpuMax'>): void {
    const governed = this.#governed.get(id);
    if (governed === undefined) return;
    governed.size = { ...governed.size, ...cpu };
    governed.share = Math.min(cpu.cpuMax, Math.max(cpu.cpuMin, governed.share));
    governed.bounds.resize(governed.size);
    governed.bounds.setShare(governed.share, undefined);
  }

  usage(id: string): ComputeUsage | undefined {
    const governed = this.#governed.get(id);
    if (governed === undefined) return undefined;
    const { share, usedCores, use } = governed;
    return {
      cpuShare: share,
      cpuUsed: usedCores,
      memoryBytes: use?.memoryBytes ?? 0,
      processes: use?.processes ?? 0,
    };
  }

  /** By the timer; a test calls it too. */
  look(): void {
    const time = this.#processorTime();
    const scarce = isScarce(this.#time, time);
    this.#time = time;
    for (const governed of this.#governed.values()) this.#measure(governed);
    const busy = [...this.#governed.values()].filter(isBusy);
    // Of what they have together: who is not a compute may take the rest.
    const equalCores = busy.reduce((sum, { usedCores }) => sum + usedCores, 0) / Math.max(1, busy.length);
    for (const governed of this.#governed.values()) {
      const contended = scarce && busy.some((other) => other !== governed);
      const load = { usedCores: governed.usedCores, equalCores, contended };
      governed.share = nextShare(governed.share, load, governed.size);
    }
    const most = scarce && busy.length > 1 ? mostOf(busy) : undefined;
    for (const { bounds, share } of this.#governed.values()) bounds.setShare(share, most);
  }

  #measure(governed: Governed): void {
    const { looksIdle } = governed;
    governed.looksIdle = isBusy(governed) ? 0 : looksIdle + 1;
    if (looksIdle > LOOKS_IDLE && looksIdle % LOOKS_IDLE !== 0) return;
    const nowMs = this.#now();
    const seconds = (nowMs - governed.lookedMs) / 1000;
    const use = governed.bounds.look();
    const before = governed.use;
    governed.lookedMs = nowMs;
    governed.use = use;
    if (use === undefined || before === undefined || seconds <= 0) return;
    governed.usedCores = Math.max(0, use.cpuSeconds - before.cpuSeconds) / seconds;
    this.#boundMemory(governed, use);
  }

  #boundMemory(governed: Governed, { memoryBytes }: ComputeUse): void {
    if (this.options.isolation.facts.means === 'cgroup') return;
    const over = memoryBytes > governed.size.memoryBytes;
    governed.looksOver = over ? governed.looksOver + 1 : 0;
    if (governed.looksOver === LOOKS_OVER_MAX) {
      governed.exceeded(
        `its processes had ${memoryBytes} bytes of memory, and may have ${governed.size.memoryBytes}`,
      );
    }
  }
}

/** Others may keep it from what it wants. */
function isBusy({ usedCores, use }: Governed): boolean {
  return usedCores >= IDLE_CORES || (use?.busyProcesses ?? 0) > 0;
}

function mostOf(busy: readonly Governed[]): MostCores {
  return {
    ofCompute: Math.max(...busy.map(({ share }) => share)),
    ofProcess: Math.max(...busy.map(partOfProcess)),
  };
}

/** Cores for each of its busy processes. */
function partOfProcess({ share, use }: Governed): number {
  return share / Math.max(1, use?.busyProcesses ?? 1);
}
