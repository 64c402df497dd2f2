import type { TokenScope } from '@offshoot/client';
import { type Actor, type BranchRecord, type Catalog, catalogError } from '@offshoot/pageserver';
import { controlError } from '../control-errors.js';
import type { Reach } from './reach.js';

/** Who makes a call, and what that may do. */
export interface Caller {
  readonly scope: TokenScope;
  readonly actor: Actor;
  /** Undefined: every branch. */
  readonly reach?: Reach | undefined;
}

/** `use`: works with it. `see`: is shown what it is. */
export type BranchAccess = 'use' | 'see';

/**
 * What is none of the caller's business is not there: throws `branch_not_found`. What it sees and may not use is said:
 * throws `forbidden`.
 */
export function expectAccess(
  { reach }: Caller,
  branch: BranchRecord,
  access: BranchAccess,
  asked: string = branch.name,
): void {
  if (reach === undefined || reach.uses(branch)) return;
  if (!reach.sees(branch)) throw catalogError('branch_not_found', `branch ${asked} does not exist`);
  if (access === 'see') return;
  throw controlError('forbidden', `this token may branch ${branch.name}, and do nothing else with it`, {
    details: {
      action: `make a branch of it and work with that: POST /v1/branches {"from": "${branch.name}"}`,
    },
  });
}

/** The branch of that name, if the caller may have to do with it. Throws `branch_not_found`, `forbidden`. */
export function branchFor(
  caller: Caller,
  catalog: Pick<Catalog, 'branchNamed'>,
  name: BranchRecord['name'],
  access: BranchAccess,
): BranchRecord {
  const branch = catalog.branchNamed(name);
  expectAccess(caller, branch, access, name);
  return branch;
}
