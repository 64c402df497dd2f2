import type { Access, Branch, Size, SnapshotPolicy as SnapshotPolicyView } from '@offshoot/client';
import type { ComputeSize } from '@offshoot/compute';
import {
  type BranchRecord,
  type BranchRoleRecord,
  type Catalog,
  isExpired,
  type MeasuredTimeline,
  type SnapshotPolicy,
} from '@offshoot/pageserver';
import { formatLsn } from '@offshoot/types';
import { branchDeleted } from './branch-errors.js';
import type { ComputeBook } from './compute-book.js';
import { useView } from './lifecycle/branch-record.js';

/** What the catalog says of a branch; where its compute is changes without it. */
interface Listed {
  readonly record: BranchRecord;
  readonly view: Omit<
    Branch,
    | 'compute'
    | 'activity'
    | 'never_used'
    | 'abandoned'
    | 'usage'
    | 'own'
    | 'written_bytes'
    | 'writes'
    | 'state'
  >;
}

/** What is known of a branch besides what the catalog and its compute say. */
export interface BranchFacts {
  nowMs(): number;
  /** Without anybody for so long a branch counts as abandoned. */
  readonly abandonedAfterSeconds: number;
  /** Its branches take no more writes. */
  isTenantFull(tenant: BranchRecord['tenant']): boolean;
  idleTimeoutSeconds(branch: BranchRecord): number;
  sizeOf(branch: BranchRecord): ComputeSize;
  writeQuotaBytesOf(branch: BranchRecord): number;
  /** Undefined while it cannot be read. */
  writtenBytesOf(branch: BranchRecord): number | undefined;
  /** Undefined before it was measured. */
  ownOf(branch: BranchRecord): MeasuredTimeline | undefined;
}

/** A part of all branches. */
export interface BranchPage {
  readonly after?: string | undefined;
  readonly limit: number;
  readonly shows: (record: BranchRecord, view: Pick<Branch, 'tenant' | 'parent' | 'labels'>) => boolean;
}

/** A timeline has one source of WAL: production for a tenant's first branch, and computes for the others. */
export function accessOf({ parent }: Pick<BranchRecord, 'parent'>): Access {
  return parent === undefined ? 'read_only' : 'read_write';
}

/** Without what the password is compared with. */
function roleView({ name, rights, passwordSetAt }: BranchRoleRecord): NonNullable<Branch['role']> {
  return { name, rights, password_set_at: passwordSetAt };
}

/** Branches as the management API shows them. */
export class BranchViews {
  /** As of `#version` of the catalog. */
  #listed: readonly Listed[] = [];
  #version: number | undefined;
  /** Sorted when somebody wants a page. */
  #ordered: { of: readonly Listed[]; byName: readonly Listed[] } = { of: this.#listed, byName: [] };

  constructor(
    private readonly catalog: () => Catalog,
    private readonly computes: Pick<ComputeBook, 'state' | 'activity' | 'usage'>,
    private readonly facts: BranchFacts,
  ) {}

  /** As it is by now: what was just made may be changed already. Throws `branch_not_found` when it is gone. */
  one({ id, name }: Pick<BranchRecord, 'id' | 'name'>): Branch {
    const record = this.catalog().findBranch(id);
    if (record === undefined) throw branchDeleted(name);
    const parent = record.parent === undefined ? undefined : this.catalog().findBranch(record.parent);
    return this.#now({
      record,
      view: this.#view(record, this.catalog().tenant(record.tenant).name, parent?.name),
    });
  }

  /** There may be ten thousand: they are decoded once for each change of the catalog. */
  all(): Branch[] {
    return this.#current().map((listed) => this.#now(listed));
  }

  /** By name, those after `after` first; one more than `limit` says that there are more. */
  page({ after = '', limit, shows }: BranchPage): { branches: Branch[]; more: boolean } {
    const found: Branch[] = [];
    for (const listed of this.#inOrder()) {
      if (listed.record.name <= after || !shows(listed.record, listed.view)) continue;
      if (found.length === limit) return { branches: found, more: true };
      found.push(this.#now(listed));
    }
    return { branches: found, more: false };
  }

  #inOrder(): readonly Listed[] {
    const listed = this.#current();
    if (this.#ordered.of !== listed) {
      const byName = listed.toSorted((a, b) => (a.record.name < b.record.name ? -1 : 1));
      this.#ordered = { of: listed, byName };
    }
    return this.#ordered.byName;
  }

  #current(): readonly Listed[] {
    const version = this.catalog().version();
    if (version !== this.#version) {
      this.#listed = this.#list();
      this.#version = version;
    }
    return this.#listed;
  }

  #list(): readonly Listed[] {
    const records = this.catalog().branches();
    const names = new Map(records.map(({ id, name }) => [id, name]));
    const tenants = new Map(
      this.catalog()
        .tenants()
        .map(({ id, name }) => [id, name]),
    );
    const known = new Map(this.#listed.map(({ view: { timeline, base_lsn } }) => [timeline, base_lsn]));
    return records.map((record) => {
      const tenant = tenants.get(record.tenant) ?? this.catalog().tenant(record.tenant).name;
      // Where a timeline starts never changes.
      const baseLsn = known.get(record.timeline);
      const parent = record.parent && names.get(record.parent);
      return { record, view: this.#view(record, tenant, parent, baseLsn) };
    });
  }

  #now({ record, view }: Listed): Branch {
    const usage = this.computes.usage(record.id);
    const written = this.facts.writtenBytesOf(record);
    const quota = view.write_quota_bytes;
    const own = this.facts.ownOf(record);
    const activity = this.computes.activity(record);
    return {
      ...view,
      state: isExpired(record, new Date(this.facts.nowMs())) ? 'expired' : 'active',
      compute: this.computes.state(record.id),
      activity,
      ...useView({ ...view, activity }, this.facts.nowMs(), this.facts.abandonedAfterSeconds),
      ...(usage === undefined ? {} : { usage }),
      ...(written === undefined ? {} : { written_bytes: written }),
      ...(own === undefined ? {} : { own: ownView(own) }),
      writes: this.#isFull(record, quota, written) ? 'refused' : 'taken',
    };
  }

  #isFull({ tenant, parent }: BranchRecord, quota: number, written: number | undefined): boolean {
    if (parent === undefined) return false;
    return (quota > 0 && written !== undefined && written >= quota) || this.facts.isTenantFull(tenant);
  }

  #view(record: BranchRecord, tenant: string, parent: string | undefined, baseLsn?: string): Listed['view'] {
    return {
      id: record.id,
      name: record.name,
      tenant,
      timeline: record.timeline,
      base_lsn: baseLsn ?? this.#readBaseLsn(record),
      created_at: record.createdAt,
      ...(record.requestedAt === undefined ? {} : { requested_at: record.requestedAt }),
      ...(record.expiresAt === undefined ? {} : { expires_at: record.expiresAt }),
      labels: { ...record.labels },
      protected: record.protected === true,
      ...(record.snapshots === undefined ? {} : { snapshots: snapshotView(record.snapshots) }),
      durability: record.durability ?? 'sync',
      access: accessOf(record),
      idle_timeout: this.facts.idleTimeoutSeconds(record),
      size: sizeView(this.facts.sizeOf(record)),
      write_quota_bytes: this.facts.writeQuotaBytesOf(record),
      ...(parent === undefined ? {} : { parent }),
      ...(record.createdBy === undefined ? {} : { created_by: record.createdBy }),
      ...(record.role === undefined ? {} : { role: roleView(record.role) }),
    };
  }

  /** Of a first branch where its import ended, however much of that history is kept by now. */
  #readBaseLsn({ timeline, tenant }: BranchRecord): string {
    const { parent, readableFrom } = this.catalog().timeline(timeline);
    const imported = parent === undefined ? this.catalog().tenant(tenant).importStats?.endLsn : undefined;
    return formatLsn(parent?.ancestorLsn ?? imported ?? readableFrom);
  }
}

export function ownView({ bytes, entries, pages, at }: MeasuredTimeline): NonNullable<Branch['own']> {
  return { bytes, versions: entries, pages, measured_at: at.toISOString() };
}

function snapshotView({ everySeconds, keep }: SnapshotPolicy): SnapshotPolicyView {
  return { every_seconds: everySeconds, keep };
}

function sizeView({ cpuMin, cpuMax, memoryBytes }: ComputeSize): Size {
  return { cpu_min: cpuMin, cpu_max: cpuMax, memory_bytes: memoryBytes };
}
