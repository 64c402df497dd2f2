import type { Access, Branch } from '@offshoot/client';
import type { BranchRecord, BranchRoleRecord, Catalog } from '@offshoot/pageserver';
import { formatLsn, type TimelineId } from '@offshoot/types';
import type { ComputeBook } from './compute-book.js';

/** What the catalog says of a branch; where its compute is changes without it. */
interface Listed {
  readonly record: BranchRecord;
  readonly view: Omit<Branch, 'compute' | 'activity'>;
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

  constructor(
    private readonly catalog: () => Catalog,
    private readonly computes: Pick<ComputeBook, 'state' | 'activity'>,
    private readonly idleTimeoutSeconds: (branch: BranchRecord) => number,
  ) {}

  one(record: BranchRecord): Branch {
    const parent = record.parent === undefined ? undefined : this.catalog().findBranch(record.parent);
    return this.#now({
      record,
      view: this.#view(record, this.catalog().tenant(record.tenant).name, parent?.name),
    });
  }

  /** There may be ten thousand: they are decoded once for each change of the catalog. */
  all(): Branch[] {
    const version = this.catalog().version();
    if (version !== this.#version) {
      this.#listed = this.#list();
      this.#version = version;
    }
    return this.#listed.map((listed) => this.#now(listed));
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
    return { ...view, compute: this.computes.state(record.id), activity: this.computes.activity(record) };
  }

  #view(record: BranchRecord, tenant: string, parent: string | undefined, baseLsn?: string): Listed['view'] {
    return {
      id: record.id,
      name: record.name,
      tenant,
      timeline: record.timeline,
      base_lsn: baseLsn ?? this.#readBaseLsn(record.timeline),
      created_at: record.createdAt,
      durability: record.durability ?? 'sync',
      access: accessOf(record),
      idle_timeout: this.idleTimeoutSeconds(record),
      ...(parent === undefined ? {} : { parent }),
      ...(record.role === undefined ? {} : { role: roleView(record.role) }),
    };
  }

  #readBaseLsn(id: TimelineId): string {
    const { parent, readableFrom } = this.catalog().timeline(id);
    return formatLsn(parent?.ancestorLsn ?? readableFrom);
  }
}
