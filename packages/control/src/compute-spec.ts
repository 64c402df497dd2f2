import type { ComputeSpec, ConnectAs } from '@offshoot/compute';
import { type BranchId, catalogError, type PageServer, type TenantRecord } from '@offshoot/pageserver';
import type { Lsn } from '@offshoot/types';
import { chosenSize } from './branch-limits.js';
import type { RoleKeeper } from './branch-role/role-keeper.js';
import { accessOf } from './branch-views.js';
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
    const common = {
      tenantId: branch.tenant,
      timelineId: branch.timeline,
      connectAs: connectCandidates(tenant),
    };
    if (accessOf(branch) === 'read_only') {
      const baseLsn = this.pageServer.timelineOfBranch(branch.name).lastRecordLsn();
      return { ...common, access: 'read_only', baseLsn };
    }
    return {
      ...common,
      // What a former compute had acknowledged is taken in first.
      baseLsn: await this.pageServer.recoverBranch(branch),
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

/**
 * `postgres` and `template1` are there in nearly every cluster, should the source's database be closed; and so is the
 * role `postgres`, should the branch have dropped the one that it was imported as.
 */
function connectCandidates(tenant: TenantRecord): ConnectAs[] {
  const databases = [...new Set([tenant.defaultDatabase, 'postgres', 'template1'])];
  const users = [...new Set([tenant.defaultUser, 'postgres'])];
  return users.flatMap((user) => databases.map((database) => ({ user, database })));
}
