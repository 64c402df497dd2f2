import type { ConnectAs } from '@offshoot/compute';
import type { BranchRecord, PageServer, TenantRecord } from '@offshoot/pageserver';
import type { Lsn } from '@offshoot/types';

/**
 * Whom to ask a compute's first query as, and where, the likeliest first. `postgres` and `template1` are there in nearly
 * every cluster, should the source's database be closed. Any of its roles may have been renamed, dropped or locked: the
 * superusers that its pages name go first, then the role that it was imported as.
 */
export function connectCandidates(tenant: TenantRecord, superusers: readonly string[]): ConnectAs[] {
  const databases = [...new Set([tenant.defaultDatabase, 'postgres', 'template1'])];
  const { defaultUser } = tenant;
  const first = superusers.includes(defaultUser) ? [defaultUser] : [];
  const users = [...new Set([...first, ...superusers, defaultUser, 'postgres'])];
  return users.flatMap((user) => databases.map((database) => ({ user, database })));
}

/** None where its pages cannot tell: then whoever is tried next says what is wrong with it. */
export async function superusersAt(
  pageServer: PageServer,
  branch: BranchRecord,
  lsn: Lsn,
): Promise<readonly string[]> {
  try {
    return await pageServer.timelineOfBranch(branch.name).superusers(lsn);
  } catch {
    return [];
  }
}

/** With what its compute has committed by now. */
export async function superusersNow(
  pageServer: PageServer,
  branch: BranchRecord,
  signal: AbortSignal,
): Promise<readonly string[]> {
  await pageServer.settleBranch(branch, undefined, signal);
  const timeline = pageServer.timelineOfBranch(branch.name);
  return await superusersAt(pageServer, branch, timeline.lastRecordLsn());
}
