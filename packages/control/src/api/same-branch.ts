import type { Branch, NewBranchRequest } from '@offshoot/client';
import { controlError } from '../control-errors.js';

/**
 * Whether a branch that is there can be the one that is asked for: `from` is its parent, and `at` is the LSN that it starts
 * from, the words that it was asked for with, or `latest`. Throws `branch_differs`.
 */
export function refuseContradiction(
  { name, parent, base_lsn }: Branch,
  askedAt: string | undefined,
  { from, at }: NewBranchRequest,
): void {
  if (from !== undefined && from !== parent) {
    throw controlError('branch_differs', `there is a branch ${name} of ${parent}, and not of ${from}`);
  }
  const isSamePlace = at === undefined || at === 'latest' || at === askedAt || at.toUpperCase() === base_lsn;
  if (!isSamePlace) {
    const words = askedAt === undefined ? '' : ` (it was asked for as ${askedAt})`;
    throw controlError('branch_differs', `branch ${name} starts at ${base_lsn}${words}, and not at ${at}`);
  }
}

/** Settings that were asked for and are otherwise on the branch that is there, which keeps its own. */
export function settingsThatDiffer(branch: Branch, request: NewBranchRequest): string[] {
  const { durability, idle_timeout, write_quota_bytes, size, role } = branch;
  const own: Readonly<Record<string, unknown>> = { durability, idle_timeout, write_quota_bytes, ...size };
  const differ = Object.entries(request).filter(([field, asked]) => field in own && own[field] !== asked);
  const wanted = request.role;
  const otherRole =
    wanted != null &&
    ((wanted.name ?? role?.name) !== role?.name || (wanted.rights ?? role?.rights) !== role?.rights);
  return [...differ.map(([field]) => field), ...(otherRole ? ['role'] : [])];
}
