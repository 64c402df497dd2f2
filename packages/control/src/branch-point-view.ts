import type { BranchPoint as BranchPointView } from '@offshoot/client';
import { formatLsn } from '@offshoot/types';
import { type BranchAt, type BranchPoint, formatMicros } from './branch-point/index.js';

/** Where a branch starts, as the API shows it. */
export function branchPointView(
  at: BranchAt,
  { lsn, lastCommitTime, asOfMs, checkpoint }: BranchPoint,
): BranchPointView {
  return {
    kind: at.kind,
    lsn: formatLsn(lsn),
    ...(checkpoint === undefined ? {} : { checkpoint: checkpoint.name }),
    ...(at.kind === 'time' ? { time: formatMicros(at.moment.micros) } : {}),
    ...(at.kind === 'time' && at.moment.zone === 'assumed_utc' ? { assumed_zone: 'UTC' } : {}),
    ...(lastCommitTime === undefined ? {} : { last_commit_time: formatMicros(lastCommitTime) }),
    // Production's clock may be ahead of ours.
    ...(asOfMs === undefined ? {} : { data_age_ms: Math.max(0, Math.round(Date.now() - asOfMs)) }),
  };
}
