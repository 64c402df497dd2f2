import type { BranchName, Lsn, TimelineId } from '@offshoot/types';
import type { RemovedTimelines } from './branch-timelines.js';
import type { NewIdempotencyKey } from './idempotency-keys.js';
import type { BranchRecord, TimelineRecord } from './records.js';

/** Where a branch goes on from. */
export interface BranchMove {
  /** The timeline that it names, as its mover knows it. */
  readonly from: TimelineId;
  /** What it goes on from: a point of its parent's history, or of its own (`continues`), be it one of a checkpoint. */
  readonly point: { readonly timeline: TimelineId; readonly lsn: Lsn };
  readonly continues?: boolean | undefined;
  /** Whoever moves it holds that point, be it before where reading begins. */
  readonly held?: boolean | undefined;
  /** The state before stays as a branch of this name. */
  readonly preserveAs?: BranchName | undefined;
  readonly branchesMax?: number | undefined;
  /** Becomes known with the move. */
  readonly idempotencyKey?: NewIdempotencyKey | undefined;
}

export interface MovedBranch extends RemovedTimelines {
  readonly timeline: TimelineRecord;
  readonly preserved?: BranchRecord | undefined;
}

/** The branch that keeps the state before: with the settings, history and written WAL, but no role to log in with. */
export function preservedBranch(
  before: BranchRecord,
  own: Pick<BranchRecord, 'id' | 'name' | 'createdAt'>,
): BranchRecord {
  const { role: _, rolesApplied: __, snapshots: ___, requestedAt: ____, use, ...rest } = before;
  const wal = use?.wal === undefined ? {} : { use: { wakes: 0, wal: use.wal } };
  return { ...rest, ...wal, ...own };
}
