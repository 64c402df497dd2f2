import { isDeepStrictEqual } from 'node:util';
import type { Branch, NewBranchRequest } from '@offshoot/client';
import { isSamePlace, parseBranchAt } from '../branch-point/index.js';
import { controlError } from '../control-errors.js';

/**
 * Whether a branch that is there can be the one that is asked for: `from` is its parent, and `at` says the LSN that it starts
 * from, the place that it was asked for with, or `latest`. Throws `branch_differs`, `invalid_argument`.
 */
export function refuseContradiction(
  { name, parent, base_lsn }: Branch,
  askedAt: string | undefined,
  { from, at }: NewBranchRequest,
): void {
  if (from !== undefined && from !== parent) {
    throw controlError('branch_differs', `there is a branch ${name} of ${parent}, and not of ${from}`);
  }
  if (at !== undefined && !startsThere(base_lsn, askedAt, at)) {
    const words = askedAt === undefined ? '' : ` (it was asked for as ${askedAt})`;
    throw controlError('branch_differs', `branch ${name} starts at ${base_lsn}${words}, and not at ${at}`);
  }
}

function startsThere(baseLsn: string, askedAt: string | undefined, at: string): boolean {
  const nowMs = Date.now();
  const asked = parseBranchAt(at, nowMs);
  if (asked.kind === 'latest') return true;
  const places = askedAt === undefined ? [baseLsn] : [baseLsn, askedAt];
  return places.some((place) => isSamePlace(asked, parseBranchAt(place, nowMs)));
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
