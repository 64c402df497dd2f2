import type { Branch, BranchCredentials, RoleRequest, RotatePasswordRequest } from '@offshoot/client';
import {
  type BranchId,
  type BranchRecord,
  type Catalog,
  catalogError,
  type PageServer,
} from '@offshoot/pageserver';
import { parseBranchName } from '@offshoot/types';
import type { RoleKeeper } from './branch-role/role-keeper.js';
import type { TakenRoleNames } from './branch-role/taken-role-names.js';
import { accessOf, type BranchViews } from './branch-views.js';
import type { Connections } from './connections.js';
import { controlError } from './control-errors.js';

/** Branches' own roles, as the management API has them made and shows them. */
export class BranchRoleCalls {
  constructor(
    private readonly catalog: Catalog,
    private readonly keeper: RoleKeeper,
    private readonly views: BranchViews,
    private readonly connections: Connections,
    private readonly names: TakenRoleNames,
    private readonly pageServer: Pick<PageServer, 'timelineOf'>,
  ) {}

  /** Throws `branch_read_only`, and what `RoleKeeper.create` throws. */
  async create(name: string, request: RoleRequest): Promise<BranchCredentials> {
    const branch = this.catalog.branchNamed(parseBranchName(name));
    expectWritable(branch);
    const { tenant, timeline } = branch;
    const lsn = this.pageServer.timelineOf(tenant, timeline).lastRecordLsn();
    await this.names.refuse({ branch: branch.name, tenant, timeline, lsn }, request.name);
    const { password } = await this.keeper.create(branch, request);
    return this.#credentials(branch.id, password);
  }

  async rotate(name: string, { sessions }: RotatePasswordRequest): Promise<BranchCredentials> {
    const branch = this.catalog.branchNamed(parseBranchName(name));
    const { password } = await this.keeper.rotate(branch, sessions ?? 'keep');
    return this.#credentials(branch.id, password);
  }

  async remove(name: string): Promise<Branch> {
    return this.views.one(await this.keeper.remove(this.catalog.branchNamed(parseBranchName(name))));
  }

  #credentials(id: BranchId, password: string): BranchCredentials {
    const branch = this.catalog.findBranch(id) ?? gone('branch', id);
    const role = branch.role ?? gone('role of branch', branch.name);
    return {
      branch: this.views.one(branch),
      credentials: this.connections.withPassword(branch, role, password),
    };
  }
}

function gone(what: string, name: string): never {
  throw catalogError('branch_not_found', `${what} ${name} does not exist any more`);
}

/** Throws `branch_read_only`. */
function expectWritable(branch: BranchRecord): void {
  if (accessOf(branch) === 'read_write') return;
  throw controlError(
    'branch_read_only',
    `branch ${branch.name} is production's own history, and can only be read`,
    {
      details: { action: `branch it first: pageserver-ctl branch create NAME --from ${branch.name}` },
    },
  );
}
