import {
  type BranchRecord,
  type CheckpointRecord,
  catalogError,
  type PageServer,
} from '@offshoot/pageserver';
import type { Lsn, TimelineId } from '@offshoot/types';
import { expectUnchanged } from '../branch-errors.js';
import type { ComputeBook } from '../compute-book.js';
import { settleParent } from '../settle-parent.js';
import { NEWEST_CHECKPOINT } from './branch-at.js';
import type { BranchPoint, Parent } from './find-branch-point.js';
import { OwnHistory } from './own-history.js';

/** Of which a point may be a checkpoint on a timeline that is not in the branch's history any more. */
export interface ParentBranch extends Parent {
  /** The timeline that a point is one of. */
  timelineOf(point: BranchPoint): TimelineId;
}

/**
 * The branch that another is to start from: production's own history, or one that a compute may write to. Throws
 * `branch_changed` when it names another timeline by now.
 */
export function parentOf(
  pageServer: PageServer,
  computes: ComputeBook,
  branch: BranchRecord,
  timeoutMs: number | undefined,
): ParentBranch {
  const { catalog } = pageServer;
  expectUnchanged(catalog, branch);
  const timeline = OwnHistory.of(pageServer, branch);
  const common = {
    name: branch.name,
    timeline,
    nowMs: () => Date.now(),
    timelineOf: ({ lsn, checkpoint }: BranchPoint) => checkpoint?.timeline ?? timeline.timelineAt(lsn),
    checkpoint: async (name: string) => {
      const found =
        name === NEWEST_CHECKPOINT
          ? newestOf(branch, catalog.checkpoints(branch.id))
          : catalog.checkpoint(branch, name);
      const { last } = await pageServer.timelineOf(branch.tenant, found.timeline).commitsAround(found.lsn);
      return { name: found.name, timeline: found.timeline, lsn: found.lsn as Lsn, lastCommitTime: last };
    },
  };
  if (branch.parent === undefined && !catalog.tenant(branch.tenant).template) {
    return {
      ...common,
      catchUp: async () => (await pageServer.catchUp(branch.tenant, timeoutMs)).askedAt.getTime(),
      asOfMs: () => {
        const behindSeconds = pageServer.receiverOf(branch.tenant)?.lagSeconds;
        return behindSeconds === undefined ? undefined : Date.now() - behindSeconds * 1000;
      },
    };
  }
  return {
    ...common,
    catchUp: async () => {
      const askedAt = Date.now();
      // What new databases start from never changes.
      if (branch.parent !== undefined) await settleParent(pageServer, computes, branch, timeoutMs);
      return askedAt;
    },
    // Without a compute there is nothing newer; with one, its WAL comes within moments.
    asOfMs: () => Date.now(),
  };
}

function newestOf({ name }: BranchRecord, checkpoints: readonly CheckpointRecord[]): CheckpointRecord {
  const newest = checkpoints.at(-1);
  if (newest !== undefined) return newest;
  throw catalogError('checkpoint_not_found', `branch ${name} has no checkpoints`, {
    details: { action: `make one: pageserver-ctl checkpoint create ${name} NAME` },
  });
}
