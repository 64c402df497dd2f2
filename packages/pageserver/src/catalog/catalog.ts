import type { BranchName, Lsn, TimelineId } from '@offshoot/types';
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
import { CatalogCheckpoints } from './catalog-checkpoints.js';
import { branchChanged, catalogError } from './catalog-errors.js';
import { isExpired, notFound } from './catalog-reads.js';
import { type CatalogTables, openTables } from './catalog-tables.js';
import type { CatalogSurroundings } from './catalog-writes.js';
import type { NewIdempotencyKey } from './idempotency-keys.js';
import type {
  Actor,
  BranchId,
  BranchRecord,
  BranchRoleRecord,
  BranchSettings,
  BranchUse,
  IdempotencyRecord,
  RolesApplied,
  TimelineRecord,
} from './records.js';
import { Tokens } from './tokens.js';

export type { BranchWithTimeline, RemovedTimelines } from './branch-timelines.js';
export type { NewCheckpoint } from './catalog-checkpoints.js';
export type { ImportedHistory, NewTenant } from './catalog-tenants.js';
export type { CatalogSurroundings } from './catalog-writes.js';

export interface NewBranch extends NewBranchChoice {
  readonly name: BranchName;
  readonly parent: BranchId;
  /** Where it leaves its parent. */
  readonly ancestorLsn: Lsn;
  /** A timeline of the parent's that is not the one that it names, such as one that a checkpoint holds. */
  readonly timeline?: TimelineId | undefined;
  /** Whoever makes it holds that LSN, be it before where reading begins. */
  readonly held?: boolean | undefined;
  /** Branches that the tenant may have, this one included. */
  readonly branchesMax?: number | undefined;
}

/** What a branch is made with. */
export interface NewBranchChoice extends BranchSettings {
  readonly role?: Omit<BranchRoleRecord, 'passwordSetAt'> | undefined;
  readonly requestedAt?: string | undefined;
  readonly createdBy?: Actor | undefined;
  readonly askedAt?: string | undefined;
  /** See `BranchRecord`; `markLoaded` takes it away. */
  readonly loading?: true | undefined;
  /** Becomes known with the branch. */
  readonly idempotencyKey?: NewIdempotencyKey | undefined;
}

/**
 * The single truth about tenants, timelines and branches. Reads are synchronous and see the last commit. Each write
 * is one transaction, whole or not at all, and durable when its promise resolves. Names of tenants and branches are
 * unique in the daemon, and are one set.
 */
export class Catalog extends CatalogCheckpoints {
  readonly tokens: Tokens;
  #closing: Promise<void> | undefined;

  private constructor(tables: CatalogTables, surroundings: CatalogSurroundings) {
    super(tables, surroundings);
    this.tokens = new Tokens(tables);
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

  /**
   * One transaction: the branch and its timeline. The parent's tenant must be active. Throws `branch_expired`,
   * `branch_changed`, `quota_reached`, `branch_point_out_of_range`.
   */
  createBranch({
    name,
    parent: parentId,
    ancestorLsn,
    timeline: timelineId,
    held,
    branchesMax,
    role,
    idempotencyKey,
    ...settings
  }: NewBranch): Promise<BranchWithTimeline> {
    return this.write(() => {
      this.refuseTakenName(name);
      const parent = this.findBranch(parentId) ?? notFound('branch', parentId);
      this.expectActive(parent.tenant);
      this.refuseExpired(parent, this.now());
      this.refuseBranchOver(parent.tenant, branchesMax);
      const from = this.timelineOf(parent, timelineId ?? parent.timeline);
      const history = historyFrom(parent, from, { lsn: ancestorLsn, held });
      const made = this.makeBranch(name, history, this.nextTimelineIndex(), {
        parent: parent.id,
        ...settings,
        durability: settings.durability ?? 'sync',
        ...(role === undefined ? {} : this.#roleNow(role)),
      });
      this.putKey(idempotencyKey, made.branch);
      return made;
    });
  }

  /** What was done under a key; undefined when it is not known, or no longer. */
  idempotencyKey(key: string): IdempotencyRecord | undefined {
    const record = this.tables.idempotencyKeys.get(key);
    return record === undefined || record.expiresAt <= this.now().toISOString() ? undefined : record;
  }

  /**
   * One transaction: the branch names a new timeline, and is the same in everything else. What it named stays as long as
   * something holds it. Throws `branch_changed` when it does not name `from` any more, `branch_protected`,
   * `branch_expired`, `branch_is_root`, `name_taken`, `quota_reached`, `branch_point_out_of_range`.
   */
  moveBranch(id: BranchId, move: BranchMove): Promise<MovedBranch> {
    const { from, point, continues, held, preserveAs, branchesMax, idempotencyKey } = move;
    return this.write(() => {
      const before = this.findBranch(id) ?? notFound('branch', id);
      if (before.timeline !== from) throw branchChanged(before);
      this.refuseMove(before, this.now());
      this.expectActive(before.tenant);
      const history = historyFrom(before, this.timelineOf(before, point.timeline), { lsn: point.lsn, held });
      const own = { ...history, ...(continues ? { continues: true as const } : {}) };
      const timeline = this.newTimeline(own, this.nextTimelineIndex());
      putTimeline(this.tables, timeline);
      const preserved = preserveAs && this.#preserve(before, preserveAs, branchesMax);
      const moved = { ...pointBranchAt(this.tables, before, timeline.id), timeline, preserved };
      this.putKey(idempotencyKey, moved.branch);
      return moved;
    });
  }

  #preserve(before: BranchRecord, name: BranchName, branchesMax: number | undefined): BranchRecord {
    this.refuseTakenName(name);
    this.refuseBranchOver(before.tenant, branchesMax);
    const createdAt = this.now().toISOString();
    const preserved = preservedBranch(before, { id: this.newBranchId(), name, createdAt });
    putNewBranch(this.tables, preserved);
    return preserved;
  }

  /** Its id, timeline and children are the same. Throws `branch_not_found`, `name_taken`, `branch_is_root`. */
  renameBranch(
    id: BranchId,
    name: BranchName,
    idempotencyKey?: NewIdempotencyKey | undefined,
  ): Promise<BranchRecord> {
    return this.write(() => {
      const renamed = this.#rename(this.findBranch(id) ?? notFound('branch', id), name);
      this.putKey(idempotencyKey, renamed);
      return renamed;
    });
  }

  #rename(branch: BranchRecord, name: BranchName): BranchRecord {
    if (branch.name === name) return branch;
    this.refuseTakenName(name);
    if (branch.parent === undefined) {
      throw catalogError('branch_is_root', `branch ${branch.name} has the name of its tenant, and keeps it`, {
        details: { action: 'branch it under the other name' },
      });
    }
    return renameBranch(this.tables, branch, name);
  }

  /** What is not given stays as it is. Throws `branch_not_found`, `branch_protected`, `branch_is_root`. */
  updateBranch(id: BranchId, change: BranchChange): Promise<BranchRecord> {
    return this.write(() => {
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
    return this.write(() => {
      const { role: _, rolesApplied: __, ...branch } = this.findBranch(id) ?? notFound('branch', id);
      this.tables.branches.put(branch);
      return branch;
    });
  }

  /** Throws `branch_not_found`. */
  recordRolesApplied(id: BranchId, rolesApplied: RolesApplied): Promise<BranchRecord> {
    return this.#changeBranch(id, { rolesApplied });
  }

  /** What was loaded into it is whole. Throws `branch_not_found`. */
  markLoaded(id: BranchId): Promise<BranchRecord> {
    return this.write(() => {
      const { loading: _, ...branch } = this.findBranch(id) ?? notFound('branch', id);
      this.tables.branches.put(branch);
      return branch;
    });
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
    return this.write(() => {
      const branch = this.findBranch(id) ?? notFound('branch', id);
      if (expiredBy !== undefined && !isExpired(branch, expiredBy)) {
        throw catalogError('branch_not_expired', `branch ${branch.name} was given more time`);
      }
      this.refuseUndeletable(branch);
      return { branch, removed: removeBranch(this.tables, branch) };
    });
  }

  /**
   * Nothing before `lsn` can be read of a timeline any more, unless somebody keeps it. Never goes back. Undefined: there is
   * no such timeline.
   */
  raiseReadableFrom(id: TimelineId, lsn: Lsn): Promise<TimelineRecord | undefined> {
    return this.write(() => {
      const timeline = this.findTimeline(id);
      if (timeline === undefined || timeline.readableFrom >= lsn) return timeline;
      const raised = { ...timeline, readableFrom: lsn };
      this.tables.timelines.put(id, raised);
      return raised;
    });
  }

  #changeBranch(id: BranchId, change: Partial<BranchRecord>): Promise<BranchRecord> {
    return this.write(() => {
      const branch = { ...(this.findBranch(id) ?? notFound('branch', id)), ...change };
      this.tables.branches.put(branch);
      return branch;
    });
  }

  #roleNow(role: Omit<BranchRoleRecord, 'passwordSetAt'>): Pick<BranchRecord, 'role' | 'hadRole'> {
    return { role: { ...role, passwordSetAt: this.now().toISOString() }, hadRole: true };
  }
}
