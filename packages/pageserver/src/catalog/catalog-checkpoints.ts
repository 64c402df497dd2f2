import { historyFrom } from './branch-timelines.js';
import { branchChanged, catalogError } from './catalog-errors.js';
import { notFound } from './catalog-reads.js';
import { CatalogTenants } from './catalog-tenants.js';
import type { NewKeyOf } from './idempotency-keys.js';
import type { BranchId, CheckpointRecord, TimelineRecord } from './records.js';
import { hold, letGo } from './timeline-holds.js';

/** A checkpoint as its maker gives it. */
export interface NewCheckpoint extends Omit<CheckpointRecord, 'createdAt'> {
  /** Checkpoints of the branch, this one included. */
  readonly checkpointsMax: number;
  /** Whoever makes it holds that LSN, be it before where reading begins. */
  readonly held?: boolean | undefined;
  /** So many periodic ones stay, the newest. */
  readonly keepPeriodic?: number | undefined;
  /** Becomes known with it. */
  readonly idempotencyKey?: NewKeyOf<CheckpointRecord> | undefined;
}

/** Checkpoints of branches. */
export class CatalogCheckpoints extends CatalogTenants {
  /** Throws `checkpoint_exists`, `quota_reached`, `branch_changed`, `branch_point_out_of_range`. */
  createCheckpoint({
    checkpointsMax,
    keepPeriodic,
    held,
    idempotencyKey: key,
    ...checkpoint
  }: NewCheckpoint): Promise<{ checkpoint: CheckpointRecord; removed: readonly TimelineRecord[] }> {
    return this.write(() => {
      const { branch: id, name, timeline, lsn } = checkpoint;
      const branch = this.findBranch(id) ?? notFound('branch', id);
      this.expectActive(branch.tenant);
      this.refuseExpired(branch, this.now());
      historyFrom(branch, this.timelineOf(branch, timeline), { lsn, held });
      if (this.findCheckpoint(id, name) !== undefined) {
        throw catalogError('checkpoint_exists', `branch ${branch.name} has a checkpoint ${name} already`);
      }
      if (keepPeriodic !== undefined && branch.timeline !== timeline) throw branchChanged(branch);
      // First: those that go may be the last that held its timeline.
      hold(this.tables, [timeline, 'checkpoint', `${id}/${name}`], lsn);
      const removed = keepPeriodic === undefined ? [] : this.#dropPeriodic(id, keepPeriodic - 1);
      this.refuseCheckpointOver(branch, checkpointsMax);
      const record = { ...checkpoint, createdAt: this.now().toISOString() };
      this.tables.checkpoints.put([id, name], record);
      this.putKey(key && { ...key, answer: key.answer(record) }, branch);
      return { checkpoint: record, removed };
    });
  }

  /** Answers the timelines that nothing holds any more. Throws `checkpoint_not_found`. */
  deleteCheckpoint(
    id: BranchId,
    name: string,
  ): Promise<{ checkpoint: CheckpointRecord; removed: readonly TimelineRecord[] }> {
    return this.write(() => {
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
}
