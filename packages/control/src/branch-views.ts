import type { Branch, Compute } from '@offshoot/client';
import type { BranchId, BranchRecord, Catalog } from '@offshoot/pageserver';
import { formatLsn, type TimelineId } from '@offshoot/types';

/** Branches as the management API shows them. */
export class BranchViews {
  /** As of `#version` of the catalog, but for the states of computes. */
  #listed: readonly Branch[] = [];
  #version: number | undefined;

  constructor(
    private readonly catalog: () => Catalog,
    private readonly computeState: (branch: BranchId) => Compute['state'],
  ) {}

  one(record: BranchRecord): Branch {
    const parent = record.parent === undefined ? undefined : this.catalog().findBranch(record.parent);
    return this.#view(record, this.catalog().tenant(record.tenant).name, parent?.name);
  }

  /** There may be ten thousand: they are decoded once for each change of the catalog. */
  all(): Branch[] {
    const version = this.catalog().version();
    if (version !== this.#version) {
      this.#listed = this.#list();
      this.#version = version;
    }
    return this.#listed.map((view) => ({ ...view, compute: this.computeState(view.id as BranchId) }));
  }

  #list(): readonly Branch[] {
    const records = this.catalog().branches();
    const names = new Map(records.map(({ id, name }) => [id, name]));
    const tenants = new Map(
      this.catalog()
        .tenants()
        .map(({ id, name }) => [id, name]),
    );
    const known = new Map(this.#listed.map(({ timeline, base_lsn }) => [timeline, base_lsn]));
    return records.map((record) => {
      const tenant = tenants.get(record.tenant) ?? this.catalog().tenant(record.tenant).name;
      // Where a timeline starts never changes.
      const baseLsn = known.get(record.timeline);
      return this.#view(record, tenant, record.parent && names.get(record.parent), baseLsn);
    });
  }

  #view(record: BranchRecord, tenant: string, parent: string | undefined, baseLsn?: string): Branch {
    return {
      id: record.id,
      name: record.name,
      tenant,
      timeline: record.timeline,
      base_lsn: baseLsn ?? this.#readBaseLsn(record.timeline),
      created_at: record.createdAt,
      durability: record.durability ?? 'sync',
      compute: this.computeState(record.id),
      ...(parent === undefined ? {} : { parent }),
    };
  }

  #readBaseLsn(id: TimelineId): string {
    const { parent, readableFrom } = this.catalog().timeline(id);
    return formatLsn(parent?.ancestorLsn ?? readableFrom);
  }
}
