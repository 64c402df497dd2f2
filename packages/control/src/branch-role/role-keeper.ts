import { setTimeout as sleep } from 'node:timers/promises';
import type { RoleRequest } from '@offshoot/client';
import type { BranchRoles, ComputeSpec, OpenSessions, RunningCompute } from '@offshoot/compute';
import { type BranchId, type BranchRecord, type Catalog, catalogError } from '@offshoot/pageserver';
import { asOffshootError, OffshootError } from '@offshoot/types';
import type { ComputeBook } from '../compute-book.js';
import { controlError } from '../control-errors.js';
import { OneAtATime } from '../one-at-a-time.js';
import { type NewRole, newRole, withNewPassword } from './new-role.js';

/** A connection that breaks is heard of a little sooner than the end of its compute. */
const END_WAIT_MS = 1000;

/**
 * Branches' own roles. The catalog says what they shall be; a compute makes them so when it starts, and at once while it
 * runs. What is done to the roles of one branch is done one after the other.
 */
export class RoleKeeper {
  readonly #turns = new OneAtATime();

  constructor(
    private readonly catalog: () => Catalog,
    private readonly computes: Pick<ComputeBook, 'settled'>,
    private readonly applyTimeoutMs: number,
  ) {}

  /** Throws `branch_role_exists`, `role_name_taken`, `branch_role_not_applied`; then there is none. */
  create(branch: BranchRecord, request: RoleRequest): Promise<NewRole> {
    return this.#turns.run(branch.id, async () => {
      if (this.#now(branch).role !== undefined) {
        throw controlError('branch_role_exists', `branch ${branch.name} has a role of its own already`);
      }
      const made = await newRole(branch.name, request);
      await this.catalog().setBranchRole(branch.id, made.role);
      try {
        await this.#apply(branch, 'keep');
      } catch (error) {
        await this.catalog().removeBranchRole(branch.id);
        throw error;
      }
      return made;
    });
  }

  /** Throws `branch_role_absent`, `branch_role_not_applied`; then nobody has the new password, and it can be asked again. */
  rotate(branch: BranchRecord, sessions: OpenSessions): Promise<NewRole> {
    return this.#turns.run(branch.id, async () => {
      const made = await withNewPassword(this.#roleOf(branch));
      await this.catalog().setBranchRole(branch.id, made.role);
      await this.#apply(branch, sessions);
      return made;
    });
  }

  /** Its sessions end. Throws `branch_role_absent`, `branch_role_not_applied`; then it is gone from the next start on. */
  remove(branch: BranchRecord): Promise<BranchRecord> {
    return this.#turns.run(branch.id, async () => {
      this.#roleOf(branch);
      const left = await this.catalog().removeBranchRole(branch.id);
      await this.#apply(branch, 'end');
      return left;
    });
  }

  /** A compute has seen to it, or was told. Rejects when that cannot be written down. */
  async noteApplied(
    id: BranchId,
    { roles, durability, timelineId: timeline }: Pick<ComputeSpec, 'roles' | 'durability' | 'timelineId'>,
  ): Promise<void> {
    const branch = this.catalog().findBranch(id);
    // What did not wait for the page server may be lost with the compute.
    if (branch === undefined || roles === undefined || durability === 'async') return;
    const { verifier } = roles.own ?? {};
    const own = verifier === undefined ? {} : { verifier };
    // Of that timeline's data: the branch may name another by now.
    await this.catalog().recordRolesApplied(id, { timeline, ...own });
  }

  /** What a compute of the branch has to see to; undefined: nothing, or that is done already. */
  rolesOf(branch: BranchRecord): BranchRoles | undefined {
    if (branch.role === undefined && !this.#dataMayHaveRoles(branch)) return undefined;
    if (isApplied(branch)) return undefined;
    return { branch: branch.id, ...(branch.role === undefined ? {} : { own: branch.role }) };
  }

  #dataMayHaveRoles(branch: BranchRecord): boolean {
    for (let each: BranchRecord | undefined = branch; each !== undefined; each = this.#parentOf(each)) {
      if (each.hadRole === true) return true;
    }
    return false;
  }

  #parentOf({ parent }: BranchRecord): BranchRecord | undefined {
    return parent === undefined ? undefined : this.catalog().findBranch(parent);
  }

  #now({ id, name }: Pick<BranchRecord, 'id' | 'name'>): BranchRecord {
    const branch = this.catalog().findBranch(id);
    if (branch === undefined)
      throw catalogError('branch_not_found', `branch ${name} does not exist any more`);
    return branch;
  }

  #roleOf(branch: BranchRecord): NonNullable<BranchRecord['role']> {
    const { role } = this.#now(branch);
    if (role === undefined)
      throw controlError('branch_role_absent', `branch ${branch.name} has no role of its own`);
    return role;
  }

  /** A compute that does not run is told when it starts. */
  async #apply(branch: BranchRecord, sessions: OpenSessions): Promise<void> {
    for (;;) {
      const awake = await this.computes.settled(branch.id);
      const roles = this.rolesOf(this.#now(branch));
      if (awake === undefined || roles === undefined) return;
      const { running, durability } = awake;
      try {
        await running.applyRoles(roles, sessions, AbortSignal.timeout(this.applyTimeoutMs));
        return await this.noteApplied(branch.id, { roles, durability, timelineId: running.timelineId });
      } catch (error) {
        if (!(await endsNow(running))) throw notApplied(branch, error);
      }
    }
  }
}

function isApplied({ role, rolesApplied, timeline }: BranchRecord): boolean {
  return rolesApplied?.timeline === timeline && rolesApplied.verifier === role?.verifier;
}

function endsNow({ ending }: RunningCompute): Promise<boolean> {
  return Promise.race([ending.then(() => true), sleep(END_WAIT_MS, false, { ref: false })]);
}

function notApplied({ name }: BranchRecord, error: unknown): OffshootError {
  if (error instanceof OffshootError) return error;
  return controlError(
    'branch_role_not_applied',
    `the compute of branch ${name} did not take the change: ${asOffshootError(error).message}`,
    { cause: error },
  );
}
