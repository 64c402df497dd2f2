import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { killGroup, processesOf, removeGroup } from './cgroup-files.js';
import type { ComputeSize } from './compute-size.js';
import type { ComputeBounds, ComputeUse } from './isolation.js';
import { offerToOomKiller } from './priorities.js';
import { childrenOf } from './process-tree.js';
import { type TroubleListener, Troubles } from './trouble.js';

export interface CgroupBoundsLimits {
  /** Processes of a compute at a time, those that only say no to a connection too many included. */
  readonly processesMax: number;
  /** What the kernel does not take of a group that is there. */
  readonly onTrouble?: TroubleListener | undefined;
}

/** The kernel's period of counting, in microseconds: a compute past its maximum waits for the next. */
const CPU_PERIOD_US = 100_000;
/** cpu.weight of one core; the kernel's default for a group. */
const WEIGHT_PER_CORE = 100;
const WEIGHT_MAX = 10_000;

/** The kernel does not have it, the group has ended, or the process has. */
const AS_EXPECTED: ReadonlySet<string> = new Set(['ENOENT', 'ENODEV', 'ESRCH']);

/** cpu.weight, 1 to 10,000, of a share in cores. */
export function weightOf(cores: number): number {
  return Math.min(WEIGHT_MAX, Math.max(1, Math.round(WEIGHT_PER_CORE * cores)));
}

/** The control group of one compute. */
export class CgroupBounds implements ComputeBounds {
  #weight = 0;
  readonly #troubles: Troubles;

  constructor(
    private readonly path: string,
    postmaster: number,
    private readonly size: ComputeSize,
    limits: CgroupBoundsLimits,
  ) {
    this.#troubles = new Troubles(limits.onTrouble);
    mkdirSync(path, { recursive: true });
    this.#write('memory.max', String(size.memoryBytes));
    // No memory.high: without swap the kernel slows what is above it down to a crawl, instead of ending it.
    this.#try('memory.swap.max', '0');
    this.#write('pids.max', String(limits.processesMax));
    this.#boundCpu(size);
    this.setShare(size.cpuMax);
    offerToOomKiller(postmaster);
    this.#write('cgroup.procs', String(postmaster));
    // Whatever it starts from here on begins in its group.
    for (const pid of childrenOf(postmaster)) this.#try('cgroup.procs', String(pid));
  }

  look(): ComputeUse | undefined {
    const cpu = this.#read('cpu.stat');
    if (cpu === undefined) return undefined;
    return {
      cpuSeconds: numberAfter(cpu, 'usage_usec') / 1e6,
      memoryBytes: Number(this.#read('memory.current') ?? 0),
      processes: processesOf(this.path).length,
    };
  }

  /** The kernel divides by weight while others want the processor; a maximum that moved would slow each start. */
  setShare(cores: number): void {
    const weight = weightOf(cores);
    if (weight !== this.#weight && this.#try('cpu.weight', String(weight))) this.#weight = weight;
  }

  resize(size: ComputeSize): void {
    this.#boundCpu(size);
  }

  kill(): void {
    killGroup(this.path);
  }

  killedFor(): string | undefined {
    const events = this.#read('memory.events') ?? '';
    if (numberAfter(events, 'oom_kill') === 0) return undefined;
    return `the kernel ended one of its processes, since together they had more memory than ${this.size.memoryBytes} bytes`;
  }

  remove(): Promise<void> {
    return removeGroup(this.path);
  }

  #boundCpu({ cpuMax }: ComputeSize): void {
    this.#try('cpu.max', `${Math.max(1000, Math.round(cpuMax * CPU_PERIOD_US))} ${CPU_PERIOD_US}`);
  }

  #write(file: string, text: string): void {
    writeFileSync(join(this.path, file), text);
  }

  /** What a kernel may lack, or what may have ended meanwhile. Answers whether it need not be tried again. */
  #try(file: string, text: string): boolean {
    try {
      this.#write(file, text);
      this.#troubles.succeeded(file);
      return true;
    } catch (error) {
      if (isExpected(error)) return true;
      const facts = { file: join(this.path, file), text, error };
      this.#troubles.failed(file, 'a bound of a compute could not be set', facts);
      return false;
    }
  }

  #read(file: string): string | undefined {
    try {
      const text = readFileSync(join(this.path, file), 'utf8');
      this.#troubles.succeeded(file);
      return text;
    } catch (error) {
      if (isExpected(error)) return undefined;
      const facts = { file: join(this.path, file), error };
      this.#troubles.failed(file, 'what a compute uses could not be read', facts);
      return undefined;
    }
  }
}

function isExpected(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code !== undefined && AS_EXPECTED.has(code);
}

/** Of a line `name value`; 0 when there is none. */
function numberAfter(text: string, name: string): number {
  const [, value] = new RegExp(`^${name} (\\d+)$`, 'm').exec(text) ?? [];
  return Number(value ?? 0);
}
