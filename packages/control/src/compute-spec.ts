import type { ComputeSpec } from '@offshoot/compute';
import { type BranchId, catalogError, type PageServer } from '@offshoot/pageserver';
import type { Lsn } from '@offshoot/types';
import { chosenSize } from './branch-limits.js';
import type { RoleKeeper } from './branch-role/role-keeper.js';
import { accessOf } from './branch-views.js';
import type { ComputeBases } from './compute-bases.js';
import type { ConnectCandidates } from './connect-candidates.js';
import type { WriteAccounts } from './quota/write-accounts.js';
import { readOnlyFromBytes, writeRefusalOf } from './quota/write-quotas.js';

/** What the computes of branches are started with. */
export class ComputeSpecs {
  constructor(
    private readonly pageServer: PageServer,
    private readonly roles: () => RoleKeeper,
    private readonly accounts: WriteAccounts,
    private readonly bases: Pick<ComputeBases, 'note'>,
    private readonly candidates: ConnectCandidates,
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
    const ofProduction = accessOf(branch) === 'read_only';
    const baseLsn = ofProduction
      ? this.pageServer.timelineOfBranch(branch.name).lastRecordLsn()
      : // What a former compute had acknowledged is taken in first.
        await this.pageServer.recoverBranch(branch);
    // Before anything is waited for: what it reads at stays readable from here on, whatever kind it becomes.
    this.bases.note(id, branch.timeline, baseLsn);
    const common = {
      tenantId: branch.tenant,
      timelineId: branch.timeline,
      baseLsn,
      connectAs: await this.candidates.at(branch, baseLsn),
      connectAsNow: (signal: AbortSignal) => this.candidates.now(branch, signal),
    };
    if (ofProduction) return { ...common, access: 'read_only' };
    const account = this.accounts.of(branch);
    const isPast = account.writtenBytes >= readOnlyFromBytes(account);
    // Who may log in comes first, and is seen to by a compute that may write.
    if (isPast && roles === undefined) return { ...common, access: 'read_only' };
    return {
      ...common,
      wal: this.pageServer.walOfCompute(branch),
      // What is seen to has to be known for certain, so that the next one need not write.
      durability: isPast ? 'sync' : (branch.durability ?? 'sync'),
      size: chosenSize(branch),
      refuseWrites: writeRefusalOf(account),
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
