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
  readonly #listed = new Map<BranchRecord['id'], Listed>();
  #byName: Listed[] = [];
  /** Up to where the catalog's changes are in those. */
  #position: number | undefined;

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

  /** There may be ten thousand: each is decoded once for each change of it. */
  all(): Branch[] {
    return this.#current().map((listed) => this.#now(listed));
  }

  /** By name, those after `after` first; one more than `limit` says that there are more. */
  page({ after = '', limit, shows }: BranchPage): { branches: Branch[]; more: boolean } {
    const found: Branch[] = [];
    const all = this.#current();
    for (let at = firstAfter(all, after); at < all.length; at += 1) {
      const listed = all[at] as Listed;
      if (!shows(listed.record, listed.view)) continue;
      if (found.length === limit) return { branches: found, more: true };
      found.push(this.#now(listed));
    }
    return { branches: found, more: false };
  }

  /** By name. */
  #current(): readonly Listed[] {
    const { position, ids } = this.catalog().branchChanges(this.#position);
    if (ids === undefined) this.#listAll();
    else if (ids.length > 0) this.#listAgain(new Set(ids));
    this.#position = position;
    return this.#byName;
  }

  #listAll(): void {
    this.#listed.clear();
    const records = this.catalog().branches();
    const names = new Map(records.map(({ id, name }) => [id, name]));
    this.#list(records, (id) => names.get(id));
    this.#byName = [...this.#listed.values()].sort(byName);
  }

  #listAgain(changed: Set<BranchRecord['id']>): void {
    const records = [...changed].flatMap((id) => this.catalog().findBranch(id) ?? []);
    const renamed = records.filter(({ id, name }) => (this.#listed.get(id)?.record.name ?? name) !== name);
    if (renamed.length > 0) {
      // Their children show their names.
      const parents = new Set(renamed.map(({ id }) => id));
      const children = [...this.#listed.values()].map(({ record }) => record);
      for (const child of children) {
        if (child.parent === undefined || !parents.has(child.parent) || changed.has(child.id)) continue;
        changed.add(child.id);
        records.push(child);
      }
    }
    const kept = this.#byName.filter(({ record }) => !changed.has(record.id));
    for (const id of changed) this.#listed.delete(id);
    const names = new Map(records.map(({ id, name }) => [id, name]));
    const nameOf = (id: BranchRecord['id']) =>
      names.get(id) ?? this.#listed.get(id)?.record.name ?? this.catalog().findBranch(id)?.name;
    this.#list(records, nameOf);
    for (const { id } of records) kept.push(this.#listed.get(id) as Listed);
    // Nearly in order already, of which this sort makes use.
    this.#byName = kept.sort(byName);
  }

  #list(records: readonly BranchRecord[], nameOf: (parent: BranchRecord['id']) => string | undefined): void {
    const tenants = new Map(
      this.catalog()
        .tenants()
        .map(({ id, name }) => [id, name]),
    );
    for (const record of records) {
      const tenant = tenants.get(record.tenant) ?? this.catalog().tenant(record.tenant).name;
      const parent = record.parent && nameOf(record.parent);
      this.#listed.set(record.id, { record, view: this.#view(record, tenant, parent) });
    }
  }

  #now({ record, view }: Listed): Branch {
    const usage = this.computes.usage(record.id);
    const written = this.facts.writtenBytesOf(record);
    const quota = view.write_quota_bytes;
    const own = this.facts.ownOf(record);
    // Of so many properties and ten thousand branches; with spreads it takes ten times as long.
    const activity = this.computes.activity(record);
    const { never_used, abandoned } = useView(
      { parent: view.parent, created_at: view.created_at, activity },
      this.facts.nowMs(),
      this.facts.abandonedAfterSeconds,
    );
    const shown: Omit<Branch, 'writes'> = Object.assign({}, view, {
      state: this.#stateOf(record),
      compute: this.computes.state(record.id),
      activity,
      never_used,
      abandoned,
    });
    if (usage !== undefined) shown.usage = usage;
    if (written !== undefined) shown.written_bytes = written;
    if (own !== undefined) shown.own = ownView(own);
    const writes = this.#isFull(record, quota, written) ? ('refused' as const) : ('taken' as const);
    return Object.assign(shown, { writes });
  }

  #stateOf(record: BranchRecord): Branch['state'] {
    if (isExpired(record, new Date(this.facts.nowMs()))) return 'expired';
    return record.loading ? 'loading' : 'active';
  }

  #isFull({ tenant, parent }: BranchRecord, quota: number, written: number | undefined): boolean {
    if (parent === undefined) return false;
    return (quota > 0 && written !== undefined && written >= quota) || this.facts.isTenantFull(tenant);
  }

  #view(record: BranchRecord, tenant: string, parent: string | undefined): Listed['view'] {
    return {
      id: record.id,
      name: record.name,
      tenant,
      timeline: record.timeline,
      base_lsn: this.#baseLsn(record),
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
  #baseLsn({ timeline, tenant }: BranchRecord): string {
    const { parent, readableFrom } = this.catalog().timeline(timeline);
    const imported = parent === undefined ? this.catalog().tenant(tenant).importStats?.endLsn : undefined;
    return formatLsn(parent?.ancestorLsn ?? imported ?? readableFrom);
  }
}

/** The place of the first that is listed after a name. */
function firstAfter(listed: readonly Listed[], name: string): number {
  let [low, high] = [0, listed.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((listed[middle] as Listed).record.name <= name) low = middle + 1;
    else high = middle;
  }
  return low;
}

function byName(a: Listed, b: Listed): number {
  return a.record.name < b.record.name ? -1 : 1;
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
