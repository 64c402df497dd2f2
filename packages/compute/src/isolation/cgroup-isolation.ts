import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { CgroupBounds, type CgroupBoundsLimits, weightOf } from './cgroup-bounds.js';
import { groupsIn, processesOf, removeGroup, wordsOf } from './cgroup-files.js';
import type { ComputeSize } from './compute-size.js';
import type { ComputeBounds, Isolation, IsolationFacts } from './isolation.js';
import { statOf } from './process-tree.js';

/** What computes are bounded by. `io` is not: it needs the names of devices, and weights that few schedulers heed. */
const CONTROLLERS = ['cpu', 'memory', 'pids'] as const;
/** Where the daemon goes when its own group must hold nothing but groups. */
const DAEMON_GROUP = 'offshoot-daemon';

export interface CgroupOptions extends CgroupBoundsLimits {
  /** The group (v2) that this process is in, or another in which groups may be made. */
  readonly base: string;
  /** Of the group of this daemon's computes; the same after each start. */
  readonly name: string;
}

/** Each compute in a control group of its own, below one of this daemon's. */
export class CgroupIsolation implements Isolation {
  readonly facts: IsolationFacts;
  readonly #root: string;

  private constructor(private readonly options: CgroupOptions) {
    this.#root = join(options.base, options.name);
    this.facts = {
      means: 'cgroup',
      cgroup: this.#root,
      enforced: [
        "CPU: each compute's share while others want the processor, and its maximum at any time",
        'memory: of all processes of a compute together, the cache of their files included; and of each process',
        'a number of processes',
      ],
      notEnforced: ["a share of the disk's bandwidth"],
    };
  }

  /** Throws an error whose message says why groups cannot be made there; then nothing is left of the attempt. */
  static async open(options: CgroupOptions): Promise<CgroupIsolation> {
    const isolation = new CgroupIsolation(options);
    const { base } = options;
    const there = wordsOf(join(base, 'cgroup.controllers'));
    const missing = CONTROLLERS.filter((controller) => !there.includes(controller));
    if (missing.length > 0)
      throw new Error(`${base} has not been given the controllers ${missing.join(', ')}`);
    if (isLeaf(base)) makeInner(base);
    enable(base);
    mkdirSync(isolation.#root, { recursive: true });
    try {
      enable(isolation.#root);
      // All computes together, against the page server and whoever else is beside them.
      writeFileSync(join(isolation.#root, 'cpu.weight'), String(weightOf(availableParallelism())));
      await isolation.#tryOut();
    } catch (error) {
      await removeGroup(isolation.#root).catch(() => undefined);
      throw error;
    }
    return isolation;
  }

  confine(id: string, pid: number, size: ComputeSize): ComputeBounds {
    return new CgroupBounds(join(this.#root, id), pid, size, this.options);
  }

  async sweep(): Promise<readonly number[]> {
    const killed: number[] = [];
    for (const group of groupsIn(this.#root)) {
      const path = join(this.#root, group);
      killed.push(...processesOf(path));
      await removeGroup(path);
    }
    return killed;
  }

  async close(): Promise<void> {
    await removeGroup(this.#root);
  }

  /** Some containers show files that cannot be written to. */
  async #tryOut(): Promise<void> {
    const path = join(this.#root, 'trial');
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, 'memory.max'), 'max');
    writeFileSync(join(path, 'cpu.max'), 'max');
    await removeGroup(path);
  }
}

/** The root of all groups, which alone may hold processes beside groups with controllers, has no type. */
function isLeaf(group: string): boolean {
  return existsSync(join(group, 'cgroup.type')) && processesOf(group).length > 0;
}

/** A group with controllers for the groups in it must hold no processes: ours go into one of these. */
function makeInner(base: string): void {
  const strangers = processesOf(base).filter((pid) => !isOurs(pid));
  if (strangers.length > 0) {
    throw new Error(
      `${base} holds processes that are not the page server's (${strangers.slice(0, 3).join(', ')}); ` +
        'run it in a group of its own, as a service with Delegate=yes',
    );
  }
  const inner = join(base, DAEMON_GROUP);
  mkdirSync(inner, { recursive: true });
  for (const pid of processesOf(base)) writeFileSync(join(inner, 'cgroup.procs'), String(pid));
}

/** This process and those that it has started, at however many removes. */
function isOurs(pid: number): boolean {
  for (let at: number | undefined = pid; at !== undefined && at > 1; at = statOf(at)?.parent) {
    if (at === process.pid) return true;
  }
  return false;
}

function enable(group: string): void {
  const control = join(group, 'cgroup.subtree_control');
  const missing = CONTROLLERS.filter((controller) => !wordsOf(control).includes(controller));
  if (missing.length > 0) writeFileSync(control, missing.map((controller) => `+${controller}`).join(' '));
}

/** `offshoot-` and what tells this data directory from others. */
export function groupNameOf(dataDirectory: string, hash: (text: string) => string): string {
  return `offshoot-${basename(dataDirectory)
    .replace(/[^A-Za-z0-9_-]/g, '_')
    .slice(0, 32)}-${hash(dataDirectory)}`;
}
