import type { RunningCompute, WriteRefusal } from '@offshoot/compute';
import type { BranchRecord } from '@offshoot/pageserver';

/** A branch as its quota is concerned. */
export interface QuotaBranch {
  readonly name: string;
  /** 0: none. */
  readonly quotaBytes: number;
  readonly writtenBytes: number;
  /** Its tenant has no room for more. */
  readonly tenantIsFull?: WriteRefusal | undefined;
}

/** What the watch over quotas asks for. */
export interface QuotaSources {
  /** Computes that are there now, with their branches. */
  awake(): Iterable<{ readonly branch: BranchRecord['id']; readonly running: RunningCompute }>;
  /** Undefined when the branch is gone. */
  branch(id: BranchRecord['id']): QuotaBranch | undefined;
}

export interface QuotaSettings {
  /** WAL of a branch that has no quota of its own; 0: any. */
  readonly writeBytesMax: number;
  /** Between two looks at how much has been written. */
  readonly checkMs: number;
  /** Branches of a tenant, its first included; 0: any number. */
  readonly branchesPerTenantMax: number;
  /** Computes of a tenant that are awake at one time; 0: any number. */
  readonly computesPerTenantMax: number;
  /** What a tenant's pages take on disk, from which on its branches take no more writes; 0: any. */
  readonly storedBytesPerTenantMax: number;
  /** Between two looks at that. */
  readonly storedCheckMs: number;
  /** Checkpoints of a branch. */
  readonly checkpointsPerBranchMax: number;
}

const GIB = 1024 ** 3;

export const quotaDefaults: QuotaSettings = {
  writeBytesMax: 64 * GIB,
  checkMs: 250,
  branchesPerTenantMax: 0,
  computesPerTenantMax: 0,
  storedBytesPerTenantMax: 0,
  storedCheckMs: 5000,
  checkpointsPerBranchMax: 1000,
};

/** What a session is told that wants to write, or undefined while it may. */
export function writeRefusalOf({
  name,
  quotaBytes,
  writtenBytes,
  tenantIsFull,
}: QuotaBranch): WriteRefusal | undefined {
  if (quotaBytes === 0 || writtenBytes < quotaBytes) return tenantIsFull;
  return {
    message: `branch ${name} has written ${sizeText(writtenBytes)} and has reached its write quota of ${sizeText(quotaBytes)}`,
    hint:
      `Raise it with: pageserver-ctl branch update ${name} --write-quota ${sizeText(2 * quotaBytes)} (or none). ` +
      'What is there can be read.',
  };
}

/**
 * What a refusal does not reach has an end too: Postgres 15 lets read-only transactions write messages and large objects.
 * Bytes; a compute whose branch has written as much is ended.
 */
export function hardLimitBytes({ quotaBytes }: Pick<QuotaBranch, 'quotaBytes'>): number {
  return quotaBytes === 0 ? Number.POSITIVE_INFINITY : quotaBytes + roomPast(quotaBytes);
}

/** From then on the next compute only reads. Less: the end of one that is ended may have lost some of what had come in. */
export function readOnlyFromBytes({ quotaBytes }: Pick<QuotaBranch, 'quotaBytes'>): number {
  return quotaBytes === 0 ? Number.POSITIVE_INFINITY : quotaBytes + roomPast(quotaBytes) / 2;
}

/** At least several segments: what is written between two looks is no offence. */
function roomPast(quotaBytes: number): number {
  return Math.max(64 * 1024 ** 2, quotaBytes / 4);
}

/** As pageserver-ctl reads it: `10GiB`, exact to a hundredth. */
export function sizeText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number(value.toFixed(2))}${units[unit]}`;
}

/** Has computes refuse writes from the moment on at which their branch has written as much as it may, and take them again. */
export class WriteQuotas {
  /** What was said last to each compute, by its id. */
  readonly #told = new Map<string, 'refused' | 'taken'>();
  readonly #timer: NodeJS.Timeout;

  constructor(
    private readonly sources: QuotaSources,
    settings: QuotaSettings,
  ) {
    this.#timer = setInterval(() => this.check(), settings.checkMs).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Computes that are told to refuse writes. */
  get refused(): number {
    return [...this.#told.values()].filter((said) => said === 'refused').length;
  }

  /** At once, also when a quota was changed. */
  check(): void {
    const seen = new Set<string>();
    for (const { branch, running } of this.sources.awake()) {
      seen.add(running.id);
      const of = this.sources.branch(branch);
      if (of === undefined) continue;
      this.#tell(running, writeRefusalOf(of));
      if (running.access === 'read_write' && of.writtenBytes >= hardLimitBytes(of)) this.#end(running, of);
    }
    for (const id of this.#told.keys()) if (!seen.has(id)) this.#told.delete(id);
  }

  #end(running: RunningCompute, { name, writtenBytes, quotaBytes }: QuotaBranch): void {
    running.exceed(
      `branch ${name} went on to write past its quota of ${sizeText(quotaBytes)}, ${sizeText(writtenBytes)} in all; it can be read`,
    );
  }

  #tell(running: RunningCompute, refusal: WriteRefusal | undefined): void {
    const saying = refusal === undefined ? 'taken' : 'refused';
    if (this.#told.get(running.id) === saying) return;
    try {
      running.refuseWrites(refusal);
      this.#told.set(running.id, saying);
    } catch {
      // Its directory goes: it is ending.
    }
  }
}
