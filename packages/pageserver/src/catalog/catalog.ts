import { randomBytes } from 'node:crypto';
import type { BranchName, Lsn, RandomBytes, TenantId, TimelineId } from '@offshoot/types';
import { formatLsn, randomTimelineId } from '@offshoot/types';
import { catalogError } from './catalog-errors.js';
import { CatalogReads, notFound } from './catalog-reads.js';
import { type CatalogTables, openTables } from './catalog-tables.js';
import { inOneTransaction } from './catalog-transaction.js';
import type {
  BranchId,
  BranchRecord,
  BranchRoleRecord,
  BranchSettings,
  BranchUse,
  ImportStats,
  RolesApplied,
  TenantHistory,
  TenantRecord,
  TimelineRecord,
} from './records.js';

/** A tenant's record as it is before its import; the catalog adds what it assigns. */
export type NewTenant = Omit<
  TenantRecord,
  'state' | 'rootIndex' | 'tli' | 'importStats' | 'failure' | 'createdAt' | 'needsReimport' | 'history'
>;

/** A branch and the timeline that it names. */
export interface BranchWithTimeline {
  readonly branch: BranchRecord;
  readonly timeline: TimelineRecord;
}

export interface NewBranch extends NewBranchChoice {
  readonly name: BranchName;
  readonly parent: BranchId;
  /** Where it leaves its parent. */
  readonly ancestorLsn: Lsn;
  /** Whoever makes it holds that LSN of the parent, be it before where reading begins. */
  readonly held?: boolean;
}

/** What a branch is made with. */
export interface NewBranchChoice extends BranchSettings {
  readonly role?: Omit<BranchRoleRecord, 'passwordSetAt'> | undefined;
}

/** Where a tenant's history becomes readable and where it ends, after its import. */
export interface ImportedHistory {
  readonly readableFrom: Lsn;
  readonly lastRecordLsn: Lsn;
  readonly tli: number;
  readonly stats: ImportStats;
}

/** Clock and chance, as a test may want to hold them. */
export interface CatalogSurroundings {
  readonly now?: (() => Date) | undefined;
  readonly random?: RandomBytes | undefined;
}

/** Timeline indexes are unsigned 32 bits in the engine's keys. */
const TIMELINE_INDEX_MAX = 0xffff_ffff;

/**
 * The single truth about tenants, timelines and branches. Reads are synchronous and see the last commit. Each write
 * is one transaction, whole or not at all, and durable when its promise resolves. Names of tenants and branches are
 * unique in the daemon, and are one set.
 */
export class Catalog extends CatalogReads {
  readonly #now: () => Date;
  readonly #random: RandomBytes;
  #closing: Promise<void> | undefined;

  private constructor(tables: CatalogTables, { now, random }: CatalogSurroundings) {
    super(tables);
    this.#now = now ?? (() => new Date());
    this.#random = random ?? randomBytes;
  }

  /** One process at a time may have a catalog open: its directory's lock is the caller's business. */
  static open(dir: string, surroundings: CatalogSurroundings = {}): Catalog {
    return new Catalog(openTables(dir), surroundings);
  }

  /** Waits for writes under way; a second call waits for the same end. */
  close(): Promise<void> {
    this.#closing ??= this.tables.root.close();
    return this.#closing;
  }

  /** Makes a tenant in state `importing`, and with that takes its name. */
  reserveTenant(tenant: NewTenant): Promise<TenantRecord> {
    const { tenants, tenantNames } = this.tables;
    return this.#write(() => {
      this.refuseTakenName(tenant.name);
      const createdAt = this.#now().toISOString();
      const rootIndex = this.#nextTimelineIndex();
      const record: TenantRecord = { ...tenant, state: 'importing', createdAt, rootIndex };
      tenants.put(record.id, record);
      tenantNames.put(record.name, record.id);
      return record;
    });
  }

  /** The import is whole: the tenant becomes active, with its first timeline and a branch of the tenant's name. */
  activateTenant(
    id: TenantId,
    { readableFrom, lastRecordLsn, tli, stats }: ImportedHistory,
  ): Promise<BranchWithTimeline> {
    return this.#write(() => {
      const tenant = this.tenant(id);
      if (tenant.state !== 'importing') {
        throw catalogError('tenant_not_active', `tenant ${tenant.name} is not being imported`);
      }
      this.tables.tenants.put(id, { ...tenant, state: 'active', tli, importStats: stats });
      const history = { tenant: id, index: tenant.rootIndex, readableFrom, lastRecordLsn };
      return this.#putBranch(tenant.name as string as BranchName, history);
    });
  }

  /** From here on the tenant's branches cannot be used and the tenant can only be removed. */
  markTenantDeleting(id: TenantId): Promise<void> {
    return this.#write(() => {
      this.tables.tenants.put(id, { ...this.tenant(id), state: 'deleting' });
    });
  }

  markTenantFailed(id: TenantId, failure: string): Promise<void> {
    return this.#write(() => {
      this.tables.tenants.put(id, { ...this.tenant(id), state: 'failed', failure });
    });
  }

  /** The tenant cannot be followed any further; its slot is yet to be dropped. What was said first stays. */
  markNeedsReimport(
    id: TenantId,
    { code, message }: { code: string; message: string },
  ): Promise<TenantRecord> {
    return this.#write(() => {
      const tenant = this.tenant(id);
      const since = this.#now().toISOString();
      const needsReimport = tenant.needsReimport ?? { since, code, message, slot: 'to_be_dropped' };
      const marked = { ...tenant, needsReimport };
      this.tables.tenants.put(id, marked);
      return marked;
    });
  }

  /** The source does not have the slot any more of a tenant that needs to be imported again. */
  markSlotDropped(id: TenantId): Promise<void> {
    return this.#write(() => {
      const tenant = this.tenant(id);
      if (tenant.needsReimport !== undefined) {
        const needsReimport = { ...tenant.needsReimport, slot: 'dropped' as const };
        this.tables.tenants.put(id, { ...tenant, needsReimport });
      }
    });
  }

  /** Removes a tenant's records; its files must be gone already. A tenant that is not there is no error. */
  removeTenant(id: TenantId): Promise<void> {
    const { tenants, tenantNames, timelines } = this.tables;
    return this.#write(() => {
      const tenant = tenants.get(id);
      if (tenant === undefined) {
        return;
      }
      for (const branch of this.branches().filter((each) => each.tenant === id)) {
        this.#removeBranch(branch);
      }
      for (const timeline of this.timelines(id)) {
        timelines.remove(timeline.id);
      }
      tenantNames.remove(tenant.name);
      tenants.remove(id);
    });
  }

  /** One transaction: the branch and its timeline. The parent's tenant must be active. */
  createBranch({
    name,
    parent: parentId,
    ancestorLsn,
    held = false,
    role,
    ...settings
  }: NewBranch): Promise<BranchWithTimeline> {
    return this.#write(() => {
      this.refuseTakenName(name);
      const parent = this.findBranch(parentId) ?? notFound('branch', parentId);
      this.#expectActive(parent.tenant);
      const timeline = this.timeline(parent.timeline);
      if (!held && ancestorLsn < timeline.readableFrom) {
        const from = formatLsn(timeline.readableFrom);
        throw catalogError(
          'branch_point_out_of_range',
          `branch ${parent.name} can be read from ${from} on, not at ${formatLsn(ancestorLsn)}`,
        );
      }
      const history = {
        tenant: parent.tenant,
        index: this.#nextTimelineIndex(),
        parent: { timeline: parent.timeline, ancestorLsn },
        readableFrom: ancestorLsn,
        lastRecordLsn: ancestorLsn,
      };
      return this.#putBranch(name, history, {
        parent: parent.id,
        ...settings,
        durability: settings.durability ?? 'sync',
        ...(role === undefined ? {} : this.#roleNow(role)),
      });
    });
  }

  /**
   * Nothing before `lsn` can be read of a timeline any more, unless somebody keeps it. Never goes back. Undefined: there is
   * no such timeline.
   */
  raiseReadableFrom(id: TimelineId, lsn: Lsn): Promise<TimelineRecord | undefined> {
    return this.#write(() => {
      const timeline = this.findTimeline(id);
      if (timeline === undefined || timeline.readableFrom >= lsn) return timeline;
      const raised = { ...timeline, readableFrom: lsn };
      this.tables.timelines.put(id, raised);
      return raised;
    });
  }

  /** What is not given becomes the daemon's setting. Throws `tenant_not_found`. */
  setTenantHistory(id: TenantId, history: TenantHistory): Promise<TenantRecord> {
    return this.#write(() => {
      const changed = { ...this.tenant(id), history };
      this.tables.tenants.put(id, changed);
      return changed;
    });
  }

  /** What is not given stays as it is. Throws `branch_not_found`. */
  updateBranch(id: BranchId, settings: BranchSettings): Promise<BranchRecord> {
    return this.#changeBranch(id, settings);
  }

  /** Gives a branch a role of its own, in place of the one that it has. Throws `branch_not_found`. */
  setBranchRole(id: BranchId, role: Omit<BranchRoleRecord, 'passwordSetAt'>): Promise<BranchRecord> {
    return this.#changeBranch(id, this.#roleNow(role));
  }

  /** That it had one stays known, and the next start looks what its data has. Throws `branch_not_found`. */
  removeBranchRole(id: BranchId): Promise<BranchRecord> {
    return this.#write(() => {
      const { role: _, rolesApplied: __, ...branch } = this.findBranch(id) ?? notFound('branch', id);
      this.tables.branches.put(id, branch);
      return branch;
    });
  }

  /** Throws `branch_not_found`. */
  recordRolesApplied(id: BranchId, rolesApplied: RolesApplied): Promise<BranchRecord> {
    return this.#changeBranch(id, { rolesApplied });
  }

  /** Throws `branch_not_found`. */
  recordUse(id: BranchId, use: BranchUse): Promise<BranchRecord> {
    return this.#changeBranch(id, { use });
  }

  /** Removes a branch and its timeline. Throws `branch_has_children` and `branch_is_root`. */
  deleteBranch(id: BranchId): Promise<BranchWithTimeline> {
    return this.#write(() => {
      const branch = this.findBranch(id) ?? notFound('branch', id);
      this.refuseUndeletable(branch);
      const timeline = this.timeline(branch.timeline);
      this.#removeBranch(branch);
      this.tables.timelines.remove(timeline.id);
      return { branch, timeline };
    });
  }

  #changeBranch(id: BranchId, change: Partial<BranchRecord>): Promise<BranchRecord> {
    return this.#write(() => {
      const branch = { ...(this.findBranch(id) ?? notFound('branch', id)), ...change };
      this.tables.branches.put(id, branch);
      return branch;
    });
  }

  #roleNow(role: Omit<BranchRoleRecord, 'passwordSetAt'>): Pick<BranchRecord, 'role' | 'hadRole'> {
    return { role: { ...role, passwordSetAt: this.#now().toISOString() }, hadRole: true };
  }

  #write<T>(change: () => T): Promise<T> {
    return inOneTransaction(this.tables.root, change);
  }

  #putBranch(
    name: BranchName,
    history: Omit<TimelineRecord, 'id'>,
    own: Pick<BranchRecord, 'parent' | 'role' | 'hadRole'> & BranchSettings = {},
  ): BranchWithTimeline {
    const { timelines, branches, branchNames, children } = this.tables;
    const timeline: TimelineRecord = { id: randomTimelineId(this.#random), ...history };
    const id = Buffer.from(this.#random(16)).toString('hex') as BranchId;
    const createdAt = this.#now().toISOString();
    const branch = { id, tenant: history.tenant, name, timeline: timeline.id, createdAt, ...own };
    timelines.put(timeline.id, timeline);
    branches.put(id, branch);
    branchNames.put(name, id);
    if (own.parent !== undefined) {
      children.put([own.parent, id], name);
    }
    return { branch, timeline };
  }

  #removeBranch(branch: BranchRecord): void {
    const { branches, branchNames, children } = this.tables;
    branches.remove(branch.id);
    branchNames.remove(branch.name);
    if (branch.parent !== undefined) {
      children.remove([branch.parent, branch.id]);
    }
  }

  #expectActive(id: TenantId): void {
    const { name, state } = this.tenant(id);
    if (state !== 'active') {
      throw catalogError('tenant_not_active', `tenant ${name} is ${state}`);
    }
  }

  #nextTimelineIndex(): number {
    const index = this.tables.meta.get('next_timeline_index') ?? 1;
    if (index > TIMELINE_INDEX_MAX) {
      throw catalogError('catalog_write_failed', 'the daemon has used up all timeline numbers');
    }
    this.tables.meta.put('next_timeline_index', index + 1);
    return index;
  }
}
