import { isDeepStrictEqual } from 'node:util';
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

/**
 * Settings that were asked for and are otherwise on the branch that is there, which keeps its own. So long as from now
 * (`ttl_seconds`) never is what it has; it is kept (`keep`) when it does not expire.
 */
export function settingsThatDiffer(branch: Branch, request: NewBranchRequest): string[] {
  const { size, ...own } = branch;
  const { name: _, from: __, at: ___, role, wait: ____, timeout_ms: _____, ...settings } = request;
  const has: Readonly<Record<string, unknown>> = { ...own, ...size, keep: branch.expires_at === undefined };
  const differ = Object.entries(settings).filter(([field, asked]) => !isDeepStrictEqual(has[field], asked));
  return [...differ.map(([field]) => field), ...(isOtherRole(branch, role) ? ['role'] : [])];
}

function isOtherRole({ role: own }: Branch, asked: NewBranchRequest['role']): boolean {
  if (asked === undefined) return false;
  if (asked === null || own === undefined) return asked !== null || own !== undefined;
  return (asked.name ?? own.name) !== own.name || (asked.rights ?? own.rights) !== own.rights;
}
