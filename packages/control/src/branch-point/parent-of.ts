import type { BranchRecord, PageServer } from '@offshoot/pageserver';
import type { ComputeBook } from '../compute-book.js';
import { settleParent } from '../settle-parent.js';
import type { Parent } from './find-branch-point.js';

/** The branch that another is to start from: production's own history, or one that a compute may write to. */
export function parentOf(
  pageServer: PageServer,
  computes: ComputeBook,
  branch: BranchRecord,
  timeoutMs: number | undefined,
): Parent {
  const common = {
    name: branch.name,
    timeline: pageServer.timelineOfBranch(branch.name),
    nowMs: () => Date.now(),
  };
  if (branch.parent === undefined) {
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
      await settleParent(pageServer, computes, branch, timeoutMs);
      return askedAt;
    },
    // Without a compute there is nothing newer; with one, its WAL comes within moments.
    asOfMs: () => Date.now(),
  };
}
