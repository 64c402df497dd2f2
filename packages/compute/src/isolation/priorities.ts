import { readFileSync, writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { sendSignal } from '../process-table.js';
import type { ComputeBounds, ComputeUse, Isolation, IsolationFacts, MostCores } from './isolation.js';
import { childrenOf, ownMemoryOf, statOf } from './process-tree.js';

/** The kernel's unit of processor time in /proc (USER_HZ), the same on all that Postgres runs on. */
const TICKS_PER_SECOND = 100;
/** Also a process that waits at the moment of the look, but used so much since the last, wants the processor. */
const BUSY_TICKS = 5;
const NICE_MAX = 19;
/** One step of niceness is about this factor of processor time. */
const NICE_STEP = 1.25;

/**
 * The niceness of a process that has `cores` of the processor as its part, where the one with the most has `most` and a
 * niceness of 0: what they get is in the same proportion.
 */
export function niceOf(cores: number, most: number): number {
  return Math.min(NICE_MAX, Math.max(0, Math.round(Math.log(most / cores) / Math.log(NICE_STEP))));
}

/** Without control groups: the priorities of computes' processes follow their shares. */
export class PriorityIsolation implements Isolation {
  readonly facts: IsolationFacts;

  constructor(reason: string) {
    this.facts = {
      means: 'priorities',
      reason,
      enforced: [
        'CPU: while several computes want the processor and it is used up, priorities follow their shares',
        'memory: of each process; out of memory, the kernel ends a compute before the page server',
      ],
      notEnforced: [
        'a maximum of CPU while nobody else wants it',
        'CPU of processes that live for less than a second or so, where the kernel does not divide it by sessions',
        "memory of all of a compute's processes together, except by ending it after it was seen to have more",
        'a number of processes, beyond what Postgres starts by its own settings',
      ],
    };
  }

  confine(_id: string, pid: number): ComputeBounds {
    return new PriorityBounds(pid);
  }

  async sweep(): Promise<readonly number[]> {
    // What a former daemon left is found by its directory.
    return [];
  }

  async close(): Promise<void> {}
}

/** The kernel's killer takes a process with it before one without. */
const OOM_SCORE_ADJ = 500;

/** For all that is started from then on too. A kernel that does not let us is no reason to fail. */
export function offerToOomKiller(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, String(OOM_SCORE_ADJ));
  } catch {}
}

class PriorityBounds implements ComputeBounds {
  /** Of each process, at the last look. */
  #ticks = new Map<number, number>();
  #busy = 0;
  #groupNiceness = 0;
  #niced = new Map<number, number>();

  constructor(private readonly postmaster: number) {
    offerToOomKiller(postmaster);
  }

  look(): ComputeUse | undefined {
    const own = statOf(this.postmaster);
    if (own === undefined) return undefined;
    const pids = [this.postmaster, ...childrenOf(this.postmaster)];
    const ticks = new Map<number, number>();
    let [memoryBytes, busy] = [0, 0];
    for (const pid of pids) {
      const stat = pid === this.postmaster ? own : statOf(pid);
      if (stat === undefined) continue;
      ticks.set(pid, stat.cpuTicks);
      const used = stat.cpuTicks - (this.#ticks.get(pid) ?? stat.cpuTicks);
      if (stat.wantsCpu || used >= BUSY_TICKS) busy += 1;
      memoryBytes += ownMemoryOf(pid);
    }
    this.#busy = busy;
    this.#ticks = ticks;
    // Children that have ended: the postmaster has waited for them.
    const all = [...ticks.values()].reduce((sum, each) => sum + each, 0) + own.endedChildrenTicks;
    return {
      cpuSeconds: all / TICKS_PER_SECOND,
      memoryBytes,
      processes: ticks.size,
      busyProcesses: busy,
    };
  }

  setShare(cores: number, most: MostCores | undefined): void {
    const part = cores / Math.max(1, this.#busy);
    const niceness = most === undefined ? 0 : niceOf(part, most.ofProcess);
    for (const pid of this.#ticks.keys()) {
      if ((this.#niced.get(pid) ?? 0) !== niceness && renice(pid, niceness)) this.#niced.set(pid, niceness);
    }
    for (const pid of this.#niced.keys()) {
      if (!this.#ticks.has(pid)) this.#niced.delete(pid);
    }
    this.#setGroup(most === undefined ? 0 : niceOf(cores, most.ofCompute));
  }

  /** Of the session that all its processes are in. */
  #setGroup(niceness: number): void {
    if (niceness !== this.#groupNiceness && reniceGroup(this.postmaster, niceness)) {
      this.#groupNiceness = niceness;
    }
  }

  resize(): void {}

  kill(): void {
    for (const pid of this.#ticks.keys()) {
      // An id that somebody else has by now is left alone.
      if (pid !== this.postmaster && statOf(pid)?.parent === this.postmaster) sendSignal(pid, 'SIGKILL');
    }
  }

  killedFor(): string | undefined {
    return undefined;
  }

  async remove(): Promise<void> {}
}

/** Answers whether it could be set: only root can raise a priority again. */
function renice(pid: number, niceness: number): boolean {
  try {
    setPriority(pid, niceness);
    return true;
  } catch {
    return false;
  }
}

/**
 * Where the kernel divides the processor among sessions (sched_autogroup), only a session's niceness counts against others,
 * and the preload library keeps a compute in one. A kernel without has no such file, or an empty one.
 */
function reniceGroup(pid: number, niceness: number): boolean {
  const file = `/proc/${pid}/autogroup`;
  try {
    if (readFileSync(file, 'latin1').length > 0) writeFileSync(file, String(niceness));
    return true;
  } catch {
    // This user may set it once in a while only: the next look tries again.
    return false;
  }
}
