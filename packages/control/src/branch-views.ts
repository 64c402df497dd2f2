import type { Branch, Compute } from '@offshoot/client';
import type { BranchId, BranchRecord, Catalog } from '@offshoot/pageserver';
import { formatLsn, type TimelineId } from '@offshoot/types';

/** Branches as the management API shows them. */
export class BranchViews {
  /** Where timelines start, which never changes, of all that were in the last list. */
  #baseLsns: ReadonlyMap<TimelineId, string> = new Map();

  constructor(
    private readonly catalog: () => Catalog,
    private readonly computeState: (branch: BranchId) => Compute['state'],
  ) {}

  one(record: BranchRecord): Branch {
    const parent = record.parent === undefined ? undefined : this.catalog().findBranch(record.parent);
    return this.#view(record, this.catalog().tenant(record.tenant).name, parent?.name);
  }

  /** Decodes each record once: there may be ten thousand. */
  all(): Branch[] {
    const records = this.catalog().branches();
    const names = new Map(records.map(({ id, name }) => [id, name]));
    const tenants = new Map(
      this.catalog()
        .tenants()
        .map(({ id, name }) => [id, name]),
    );
    const views = records.map((record) => {
      const tenant = tenants.get(record.tenant) ?? this.catalog().tenant(record.tenant).name;
      return this.#view(record, tenant, record.parent && names.get(record.parent));
    });
    this.#baseLsns = new Map(records.map(({ timeline }, n) => [timeline, (views[n] as Branch).base_lsn]));
    return views;
  }

  #view(record: BranchRecord, tenant: string, parent: string | undefined): Branch {
    return {
      id: record.id,
      name: record.name,
      tenant,
      timeline: record.timeline,
      base_lsn: this.#baseLsns.get(record.timeline) ?? this.#readBaseLsn(record.timeline),
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
