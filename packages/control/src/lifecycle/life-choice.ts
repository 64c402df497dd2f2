import type { CreateBranchRequest, UpdateBranchRequest } from '@offshoot/client';
import type { BranchChange, BranchSettings, SnapshotPolicy } from '@offshoot/pageserver';
import { baseError } from '@offshoot/types';
import { settingsOf } from '../branch-limits.js';
import { expiryOf, newExpiryOf } from '../expiry/expiry.js';

/** What a new branch is made with; see `newExpiryOf`. Throws `invalid_argument`. */
export function newBranchSettings(
  request: CreateBranchRequest,
  nowMs: number,
  defaultTtlSeconds: number,
): BranchSettings {
  const expiresAt = newExpiryOf(request, nowMs, defaultTtlSeconds);
  const { labels = {}, protected: protect, snapshots } = request;
  return {
    ...settingsOf(request),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
    ...(protect === true ? { protected: true } : {}),
    ...(snapshots === undefined ? {} : { snapshots: policyOf(snapshots) }),
  };
}

/** What is to be changed. Throws `invalid_argument`. */
export function branchChange(request: UpdateBranchRequest, nowMs: number): BranchChange {
  const expiresAt = expiryOf(request, nowMs);
  const { labels, protected: protect, snapshots } = request;
  if (protect === true && typeof expiresAt === 'string') {
    throw baseError(
      'invalid_argument',
      'a branch that is protected does not expire: leave one of the two out',
    );
  }
  return {
    ...settingsOf(request),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(labels === undefined ? {} : { labels }),
    ...(protect === undefined ? {} : { protected: protect }),
    ...(snapshots === undefined ? {} : { snapshots: snapshots === null ? null : policyOf(snapshots) }),
  };
}

function policyOf({ every_seconds, keep }: NonNullable<CreateBranchRequest['snapshots']>): SnapshotPolicy {
  return { everySeconds: every_seconds, keep };
}
