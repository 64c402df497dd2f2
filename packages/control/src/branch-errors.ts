import { type BranchRecord, type Catalog, catalogError } from '@offshoot/pageserver';
import { asOffshootError, type OffshootError, parseBranchName } from '@offshoot/types';
import { controlError } from './control-errors.js';

/** Whatever was asked for: no such branch is no such database to a client. */
export function branchNameOfClient(text: string) {
  try {
    return parseBranchName(text);
  } catch (cause) {
    const words = asOffshootError(cause).message;
    throw catalogError('branch_not_found', `there is no such branch: ${words}`, { cause });
  }
}

export function branchDeleted(name: string, why?: string): OffshootError {
  return catalogError(
    'branch_not_found',
    `branch ${name} has been deleted${why === undefined ? '' : `: ${why}`}`,
  );
}

/** Throws `branch_not_found`, `branch_changed`: what was asked of it was asked of what it is no more. */
export function expectUnchanged(
  catalog: Pick<Catalog, 'findBranch'>,
  { id, name, timeline }: BranchRecord,
): void {
  const now = catalog.findBranch(id);
  if (now === undefined) throw branchDeleted(name);
  if (now.timeline !== timeline) {
    throw catalogError('branch_changed', `branch ${name} was reset or restored meanwhile`);
  }
}

/**
 * What comes of looking for a point of a branch; what fails because the branch, or the checkpoint that was asked for, has
 * become something else meanwhile says so.
 */
export async function unlessChanged<T>(
  catalog: Pick<Catalog, 'findBranch'>,
  branch: BranchRecord,
  work: Promise<T>,
): Promise<T> {
  try {
    return await work;
  } catch (error) {
    expectUnchanged(catalog, branch);
    const { code } = asOffshootError(error);
    if (code !== 'timeline_not_found' && code !== 'engine_not_found') throw error;
    throw catalogError(
      'branch_changed',
      `what was asked for of branch ${branch.name} is not there any more`,
      {
        cause: error,
      },
    );
  }
}

export function branchExpired({ name, expiresAt }: Pick<BranchRecord, 'name' | 'expiresAt'>): OffshootError {
  return catalogError('branch_expired', `branch ${name} expired at ${expiresAt}`, {
    details: { action: `give it more time: pageserver-ctl branch expire ${name} --in 2h` },
  });
}

/** Throws `branch_loading`. */
export function refuseLoading({ name, loading }: Pick<BranchRecord, 'name' | 'loading'>): void {
  if (!loading) return;
  throw controlError(
    'branch_loading',
    `a dump is being loaded into database ${name}, and it is not whole yet`,
  );
}

/** What a client that waits for a branch can make something of; the rest is the reason of a wake that failed. */
const passedOn: ReadonlySet<string> = new Set([
  'branch_not_found',
  'branch_expired',
  'branch_loading',
  'quota_reached',
  'computes_exhausted',
  'shutting_down',
  'open_abandoned',
  'gateway_wakes_exhausted',
]);

/** As a client's connection is refused with it. */
export function asOpenError(name: string, thrown: unknown): OffshootError {
  const error = asOffshootError(thrown);
  if (passedOn.has(error.code)) return error;
  return controlError('wake_failed', `branch ${name} could not be woken: ${error.message}`, {
    cause: error,
    details: error.details,
  });
}
