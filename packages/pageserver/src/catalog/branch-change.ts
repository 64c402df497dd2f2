import { catalogError } from './catalog-errors.js';
import type { BranchRecord, BranchSettings, SnapshotPolicy } from './records.js';

/** Labels that a branch may have. */
const LABELS_MAX = 64;

/** What is not given stays as it is; null takes away. */
export interface BranchChange
  extends Omit<BranchSettings, 'expiresAt' | 'labels' | 'protected' | 'snapshots'> {
  readonly expiresAt?: string | null | undefined;
  /** One by one: null takes a label away. */
  readonly labels?: Readonly<Record<string, string | null>> | undefined;
  readonly protected?: boolean | undefined;
  readonly snapshots?: SnapshotPolicy | null | undefined;
}

/** Throws `branch_protected`, `branch_is_root`, `invalid_argument`. */
export function changedBranch(before: BranchRecord, change: BranchChange): BranchRecord {
  const { expiresAt, labels, protected: protect, snapshots, ...settings } = change;
  const stays = protect ?? before.protected === true;
  if (expiresAt !== undefined && expiresAt !== null) refuseExpiry(before, stays);
  // A branch that is kept has no end that could come about later, unseen.
  const expires = protect === true ? undefined : expiresAt === undefined ? before.expiresAt : expiresAt;
  const merged = labels === undefined ? before.labels : mergedLabels(before, labels);
  const next = {
    ...before,
    ...settings,
    expiresAt: expires ?? undefined,
    labels: merged,
    protected: stays ? (true as const) : undefined,
    snapshots: (snapshots === undefined ? before.snapshots : snapshots) ?? undefined,
  };
  return Object.fromEntries(
    Object.entries(next).filter(([, value]) => value !== undefined),
  ) as unknown as BranchRecord;
}

function refuseExpiry(branch: BranchRecord, isProtected: boolean): void {
  if (branch.parent === undefined) {
    throw catalogError(
      'branch_is_root',
      `branch ${branch.name} is what tenant ${branch.name} was imported as, and does not expire`,
    );
  }
  if (isProtected) throw branchProtected(branch, 'does not expire');
}

export function branchProtected({ name }: Pick<BranchRecord, 'name'>, what: string) {
  return catalogError('branch_protected', `branch ${name} is protected, and ${what}`, {
    details: {
      action: `if it may after all: pageserver-ctl branch unprotect ${name}; then ask again`,
    },
  });
}

function mergedLabels(
  { name, labels: before }: BranchRecord,
  change: Readonly<Record<string, string | null>>,
): BranchRecord['labels'] {
  const merged = new Map(Object.entries(before ?? {}));
  for (const [label, value] of Object.entries(change)) {
    if (value === null) merged.delete(label);
    else merged.set(label, value);
  }
  if (merged.size > LABELS_MAX) {
    throw catalogError(
      'quota_reached',
      `branch ${name} would have ${merged.size} labels; it may have ${LABELS_MAX}`,
      { details: { action: 'take some away' } },
    );
  }
  return merged.size === 0 ? undefined : Object.fromEntries(merged);
}
