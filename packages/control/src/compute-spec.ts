import type { ComputeSpec } from '@offshoot/compute';
import { type BranchId, catalogError, type PageServer } from '@offshoot/pageserver';
import type { Lsn } from '@offshoot/types';
import { chosenSize } from './branch-limits.js';
import type { RoleKeeper } from './branch-role/role-keeper.js';
import { accessOf } from './branch-views.js';
import { connectCandidates, superusersAt, superusersNow } from './connect-candidates.js';
import type { WriteAccounts } from './quota/write-accounts.js';
import { writeRefusalOf } from './quota/write-quotas.js';

/** What the computes of branches are started with. */
export class ComputeSpecs {
  constructor(
    private readonly pageServer: PageServer,
    private readonly roles: () => RoleKeeper,
    private readonly accounts: WriteAccounts,
  ) {}

  /** As it is now. Throws when the branch is gone, or its tenant on its way out. */
  async of(id: BranchId): Promise<ComputeSpec> {
    const { catalog } = this.pageServer;
    const branch = catalog.findBranch(id);
    if (branch === undefined) throw catalogError('branch_not_found', 'the branch does not exist any more');
    const tenant = catalog.tenant(branch.tenant);
    if (tenant.state !== 'active') {
      throw catalogError('tenant_not_active', `tenant ${tenant.name} is ${tenant.state}`);
    }
    // Whoever changes them from now on waits for this start, and tells its compute.
    const roles = this.roles().rolesOf(branch);
    const isReadOnly = accessOf(branch) === 'read_only';
    const baseLsn = isReadOnly
      ? this.pageServer.timelineOfBranch(branch.name).lastRecordLsn()
      : // What a former compute had acknowledged is taken in first.
        await this.pageServer.recoverBranch(branch);
    const common = {
      tenantId: branch.tenant,
      timelineId: branch.timeline,
      baseLsn,
      connectAs: connectCandidates(tenant, await superusersAt(this.pageServer, branch, baseLsn)),
      superusers: (signal: AbortSignal) => superusersNow(this.pageServer, branch, signal),
    };
    if (isReadOnly) return { ...common, access: 'read_only' };
    return {
      ...common,
      wal: this.pageServer.walOfCompute(branch),
      durability: branch.durability ?? 'sync',
      size: chosenSize(branch),
      refuseWrites: writeRefusalOf(this.accounts.of(branch)),
      ...(roles === undefined ? {} : { roles }),
    };
  }

  /** Of a branch whose WAL comes from production. */
  newestLsn(id: BranchId): Lsn | undefined {
    const { catalog } = this.pageServer;
    const branch = catalog.findBranch(id);
    if (branch === undefined || accessOf(branch) === 'read_write') return undefined;
    return this.pageServer.lastRecordLsnOf(catalog.tenant(branch.tenant));
  }
}
