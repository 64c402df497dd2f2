import type { BranchId, BranchRecord, PageServer } from '@offshoot/pageserver';
import type { BranchLimits } from '../branch-limits.js';
import type { ComputeBook } from '../compute-book.js';
import { writtenBytes } from '../sleep/written-bytes.js';
import type { TenantBytes } from './tenant-bytes.js';
import type { QuotaBranch } from './write-quotas.js';

/** How much was written on branches, and how much may be. */
export class WriteAccounts {
  constructor(
    private readonly pageServer: PageServer,
    private readonly computes: () => Pick<ComputeBook, 'use'>,
    private readonly limits: BranchLimits,
    private readonly tenants: Pick<TenantBytes, 'words'>,
  ) {}

  /** WAL of all its computes, as far as it is here; the gaps in between do not count. */
  written(branch: BranchRecord): number | undefined {
    if (branch.parent === undefined) return undefined;
    const last = this.pageServer.receivedLsnOfBranch(branch);
    const wal = this.computes().use(branch)?.wal;
    return last && (wal === undefined ? 0 : writtenBytes(wal, last));
  }

  of(branch: BranchRecord): QuotaBranch {
    return {
      name: branch.name,
      quotaBytes: this.limits.writeQuotaBytesOf(branch),
      writtenBytes: this.written(branch) ?? 0,
      tenantIsFull: this.tenants.words(branch.tenant),
    };
  }

  /** Undefined when it is gone. */
  find(id: BranchId): QuotaBranch | undefined {
    const branch = this.pageServer.catalog.findBranch(id);
    return branch && this.of(branch);
  }
}
