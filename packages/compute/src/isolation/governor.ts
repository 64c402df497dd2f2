import type { ComputeSize } from './compute-size.js';
import { type CpuShare, firstShare, nextShare } from './cpu-share.js';
import type { ComputeBounds, ComputeUse, Isolation } from './isolation.js';

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
}

interface Governed {
  readonly bounds: ComputeBounds;
  /** Ends it. */
  readonly exceeded: (reason: string) => void;
  size: ComputeSize;
  share: CpuShare;
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
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly options: GovernorOptions) {
    this.#now = options.now ?? (() => performance.now());
  }

  /** `exceeded` is called when it has to be ended because of what it uses. */
  add(id: string, bounds: ComputeBounds, size: ComputeSize, exceeded: (reason: string) => void): void {
    const share = firstShare(size);
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
    governed.share = {
      cores: Math.min(cpu.cpuMax, Math.max(cpu.cpuMin, governed.share.cores)),
      calmLooks: 0,
    };
    governed.bounds.resize(governed.size);
    governed.bounds.setShare(governed.share.cores, 'idle');
  }

  usage(id: string): ComputeUsage | undefined {
    const governed = this.#governed.get(id);
    if (governed === undefined) return undefined;
    const { share, usedCores, use } = governed;
    return {
      cpuShare: share.cores,
      cpuUsed: usedCores,
      memoryBytes: use?.memoryBytes ?? 0,
      processes: use?.processes ?? 0,
    };
  }

  /** By the timer; a test calls it too. */
  look(): void {
    for (const governed of this.#governed.values()) this.#measure(governed);
    const busy = [...this.#governed.values()].filter(isBusy).length;
    for (const governed of this.#governed.values()) {
      const itself = isBusy(governed) ? 1 : 0;
      governed.bounds.setShare(governed.share.cores, busy > itself ? 'busy' : 'idle');
    }
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
    const heldBack = use.heldBackSeconds > before.heldBackSeconds;
    governed.share = nextShare(governed.share, { usedCores: governed.usedCores, heldBack }, governed.size);
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
  return usedCores >= IDLE_CORES || use?.wantsCpu === true;
}
