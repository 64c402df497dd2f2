import { randomBytes } from 'node:crypto';
import type { BranchName, Lsn, RandomBytes, TenantId, TimelineId } from '@offshoot/types';
import { randomTimelineId } from '@offshoot/types';
import { type BranchChange, changedBranch } from './branch-change.js';
import { type BranchMove, type MovedBranch, preservedBranch } from './branch-move.js';
import {
  type BranchWithTimeline,
  historyFrom,
  pointBranchAt,
  putBranch,
  putNewBranch,
  putTimeline,
  type RemovedTimelines,
  removeBranch,
  renameBranch,
} from './branch-timelines.js';
import { branchChanged, catalogError } from './catalog-errors.js';
import { CatalogReads, isExpired, notFound } from './catalog-reads.js';
import { type CatalogTables, openTables } from './catalog-tables.js';
import { inOneTransaction } from './catalog-transaction.js';
import { type NewIdempotencyKey, putIdempotencyKey } from './idempotency-keys.js';
import type {
  Actor,
  BranchId,
  BranchRecord,
  BranchRoleRecord,
  BranchSettings,
  BranchUse,
  CheckpointRecord,
  IdempotencyRecord,
  ImportStats,
  RolesApplied,
  TenantRecord,
  TimelineRecord,
} from './records.js';
import { hold, letGo, tenantCountKey } from './timeline-holds.js';
import { Tokens } from './tokens.js';

/** A tenant's record as it is before its import; the catalog adds what it assigns. */
export type NewTenant = Omit<
  TenantRecord,
  'state' | 'rootIndex' | 'tli' | 'importStats' | 'failure' | 'createdAt' | 'needsReimport'
>;

export type { BranchWithTimeline, RemovedTimelines } from './branch-timelines.js';

export interface NewBranch extends NewBranchChoice {
  readonly name: BranchName;
  readonly parent: BranchId;
  /** Where it leaves its parent. */
  readonly ancestorLsn: Lsn;
  /** A timeline of the parent's that is not the one that it names, such as one that a checkpoint holds. */
  readonly timeline?: TimelineId | undefined;
  /** Branches that the tenant may have, this one included. */
  readonly branchesMax?: number | undefined;
}

/** What a branch is made with. */
export interface NewBranchChoice extends BranchSettings {
  readonly role?: Omit<BranchRoleRecord, 'passwordSetAt'> | undefined;
  readonly requestedAt?: string | undefined;
  readonly createdBy?: Actor | undefined;
  readonly askedAt?: string | undefined;
  /** Becomes known with the branch. */
  readonly idempotencyKey?: NewIdempotencyKey | undefined;
}

/** Where a tenant's history becomes readable and where it ends, after its import. */
export interface ImportedHistory {
  readonly readableFrom: Lsn;
  readonly lastRecordLsn: Lsn;
  readonly tli: number;
  readonly stats: ImportStats;
}

/** A checkpoint as its maker gives it. */
export interface NewCheckpoint extends Omit<CheckpointRecord, 'createdAt'> {
  /** Checkpoints of the branch, this one included. */
  readonly checkpointsMax: number;
  /** So many periodic ones stay, the newest. */
  readonly keepPeriodic?: number | undefined;
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
  readonly tokens: Tokens;
  readonly #now: () => Date;
  readonly #random: RandomBytes;
  #closing: Promise<void> | undefined;

  private constructor(tables: CatalogTables, { now, random }: CatalogSurroundings) {
    super(tables);
    this.tokens = new Tokens(tables);
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
      const history = { tenant: id, readableFrom, lastRecordLsn };
      return this.#putBranch(tenant.name as string as BranchName, history, tenant.rootIndex);
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
    const { tenants, tenantNames, timelines, meta } = this.tables;
    return this.#write(() => {
      const tenant = tenants.get(id);
      if (tenant === undefined) {
        return;
      }
      for (const branch of this.branches().filter((each) => each.tenant === id)) {
        removeBranch(this.tables, branch);
      }
      for (const timeline of this.timelines(id)) {
        timelines.remove(timeline.id);
      }
      meta.remove(tenantCountKey(id));
      tenantNames.remove(tenant.name);
      tenants.remove(id);
    });
  }

  /**
   * One transaction: the branch and its timeline. The parent's tenant must be active. Throws `branch_expired`,
   * `branch_changed`, `quota_reached`, `branch_point_out_of_range`.
   */
  createBranch({
    name,
    parent: parentId,
    ancestorLsn,
    timeline: timelineId,
    branchesMax,
    role,
    idempotencyKey,
    ...settings
  }: NewBranch): Promise<BranchWithTimeline> {
    return this.#write(() => {
      this.refuseTakenName(name);
      const parent = this.findBranch(parentId) ?? notFound('branch', parentId);
      this.#expectActive(parent.tenant);
      this.refuseExpired(parent, this.#now());
      this.refuseBranchOver(parent.tenant, branchesMax);
      const from = this.#timelineOf(parent, timelineId ?? parent.timeline);
      const made = this.#putBranch(name, historyFrom(parent, from, ancestorLsn), this.#nextTimelineIndex(), {
        parent: parent.id,
        ...settings,
        durability: settings.durability ?? 'sync',
        ...(role === undefined ? {} : this.#roleNow(role)),
      });
      if (idempotencyKey !== undefined) {
        putIdempotencyKey(this.tables, idempotencyKey, made.branch, this.#now());
      }
      return made;
    });
  }

  /** What was made under a key; undefined when it is not known, or no longer. */
  idempotencyKey(key: string): IdempotencyRecord | undefined {
    const record = this.tables.idempotencyKeys.get(key);
    return record === undefined || record.expiresAt <= this.#now().toISOString() ? undefined : record;
  }

  /**
   * One transaction: the branch names a new timeline, and is the same in everything else. What it named stays as long as
   * something holds it. Throws `branch_changed` when it does not name `from` any more, `branch_protected`,
   * `branch_expired`, `branch_is_root`, `name_taken`, `quota_reached`, `branch_point_out_of_range`.
   */
  moveBranch(id: BranchId, { from, point, preserveAs, branchesMax }: BranchMove): Promise<MovedBranch> {
    return this.#write(() => {
      const before = this.findBranch(id) ?? notFound('branch', id);
      if (before.timeline !== from) throw branchChanged(before);
      this.refuseMove(before, this.#now());
      this.#expectActive(before.tenant);
      const history = historyFrom(before, this.#timelineOf(before, point.timeline), point.lsn);
      const former = this.timeline(before.timeline);
      // One that a catalog of an earlier version has does not say so.
      this.tables.timelines.put(former.id, { ...former, madeFor: former.madeFor ?? id });
      const timeline = this.#newTimeline(history, this.#nextTimelineIndex(), id);
      putTimeline(this.tables, timeline);
      const preserved = preserveAs && this.#preserve(before, preserveAs, branchesMax);
      return { ...pointBranchAt(this.tables, before, timeline.id), timeline, preserved };
    });
  }

  #preserve(before: BranchRecord, name: BranchName, branchesMax: number | undefined): BranchRecord {
    this.refuseTakenName(name);
    this.refuseBranchOver(before.tenant, branchesMax);
    const createdAt = this.#now().toISOString();
    const preserved = preservedBranch(before, { id: this.#newBranchId(), name, createdAt });
    putNewBranch(this.tables, preserved);
    return preserved;
  }

  /** Its id, timeline and children are the same. Throws `branch_not_found`, `name_taken`, `branch_is_root`. */
  renameBranch(id: BranchId, name: BranchName): Promise<BranchRecord> {
    return this.#write(() => {
      const branch = this.findBranch(id) ?? notFound('branch', id);
      if (branch.name === name) return branch;
      this.refuseTakenName(name);
      if (branch.parent === undefined) {
        throw catalogError(
          'branch_is_root',
          `branch ${branch.name} has the name of its tenant, and keeps it`,
          {
            details: { action: 'branch it under the other name' },
          },
        );
      }
      return renameBranch(this.tables, branch, name);
    });
  }

  /** Throws `checkpoint_exists`, `quota_reached`, `branch_changed`, `branch_point_out_of_range`. */
  createCheckpoint({
    checkpointsMax,
    keepPeriodic,
    ...checkpoint
  }: NewCheckpoint): Promise<{ checkpoint: CheckpointRecord; removed: readonly TimelineRecord[] }> {
    return this.#write(() => {
      const { branch: id, name, timeline, lsn } = checkpoint;
      const branch = this.findBranch(id) ?? notFound('branch', id);
      this.#expectActive(branch.tenant);
      this.refuseExpired(branch, this.#now());
      historyFrom(branch, this.#timelineOf(branch, timeline), lsn);
      if (this.findCheckpoint(id, name) !== undefined) {
        throw catalogError('checkpoint_exists', `branch ${branch.name} has a checkpoint ${name} already`);
      }
      const removed = keepPeriodic === undefined ? [] : this.#dropPeriodic(id, keepPeriodic - 1);
      this.refuseCheckpointOver(branch, checkpointsMax);
      const record = { ...checkpoint, createdAt: this.#now().toISOString() };
      this.tables.checkpoints.put([id, name], record);
      hold(this.tables, [timeline, 'checkpoint', `${id}/${name}`], lsn);
      return { checkpoint: record, removed };
    });
  }

  /** Answers the timelines that nothing holds any more. Throws `checkpoint_not_found`. */
  deleteCheckpoint(
    id: BranchId,
    name: string,
  ): Promise<{ checkpoint: CheckpointRecord; removed: readonly TimelineRecord[] }> {
    return this.#write(() => {
      const branch = this.findBranch(id) ?? notFound('branch', id);
      const checkpoint = this.checkpoint(branch, name);
      return { checkpoint, removed: this.#dropCheckpoint(checkpoint) };
    });
  }

  #dropCheckpoint({ branch, name, timeline }: CheckpointRecord): TimelineRecord[] {
    this.tables.checkpoints.remove([branch, name]);
    return letGo(this.tables, [timeline, 'checkpoint', `${branch}/${name}`]);
  }

  #dropPeriodic(id: BranchId, keep: number): TimelineRecord[] {
    const periodic = this.checkpoints(id).filter(({ kind }) => kind === 'periodic');
    return periodic
      .slice(0, Math.max(0, periodic.length - keep))
      .flatMap((each) => this.#dropCheckpoint(each));
  }

  /** What is not given stays as it is. Throws `branch_not_found`, `branch_protected`, `branch_is_root`. */
  updateBranch(id: BranchId, change: BranchChange): Promise<BranchRecord> {
    return this.#write(() => {
      const before = this.findBranch(id) ?? notFound('branch', id);
      const branch = changedBranch(before, change);
      putBranch(this.tables, before, branch);
      return branch;
    });
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

  /**
   * Removes a branch, and its timeline unless something else holds it. `expiredBy`: only if its time was over then; else
   * throws `branch_not_expired`. Throws `branch_has_children`, `branch_is_root`, `branch_protected`.
   */
  deleteBranch(
    id: BranchId,
    { expiredBy }: { expiredBy?: Date | undefined } = {},
  ): Promise<RemovedTimelines> {
    return this.#write(() => {
      const branch = this.findBranch(id) ?? notFound('branch', id);
      if (expiredBy !== undefined && !isExpired(branch, expiredBy)) {
        throw catalogError('branch_not_expired', `branch ${branch.name} was given more time`);
      }
      this.refuseUndeletable(branch);
      return { branch, removed: removeBranch(this.tables, branch) };
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
    history: Omit<TimelineRecord, 'id' | 'index' | 'madeFor'>,
    index: number,
    own: Pick<BranchRecord, 'parent' | 'role' | 'hadRole' | 'createdBy' | 'askedAt'> & BranchSettings = {},
  ): BranchWithTimeline {
    const id = this.#newBranchId();
    const timeline = this.#newTimeline(history, index, id);
    const createdAt = this.#now().toISOString();
    const branch = { id, tenant: history.tenant, name, timeline: timeline.id, createdAt, ...own };
    putTimeline(this.tables, timeline);
    putNewBranch(this.tables, branch);
    return { branch, timeline };
  }

  #newTimeline(
    history: Omit<TimelineRecord, 'id' | 'index' | 'madeFor'>,
    index: number,
    madeFor: BranchId,
  ): TimelineRecord {
    return { id: randomTimelineId(this.#random), index, ...history, madeFor };
  }

  #newBranchId(): BranchId {
    return Buffer.from(this.#random(16)).toString('hex') as BranchId;
  }

  /** Throws `branch_changed`: what was there when a point of it was chosen is not any more. */
  #timelineOf(branch: BranchRecord, id: TimelineId): TimelineRecord {
    return this.findTimeline(id) ?? raise(branchChanged(branch));
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

function raise(error: Error): never {
  throw error;
}
