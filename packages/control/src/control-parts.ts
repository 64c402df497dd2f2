import { type BranchRecord, catalogError, type TenantRecord } from '@offshoot/pageserver';
import { asOffshootError } from '@offshoot/types';
import { BranchLimits } from './branch-limits.js';
import { RoleKeeper } from './branch-role/role-keeper.js';
import { TakenRoleNames } from './branch-role/taken-role-names.js';
import { BranchRoleCalls } from './branch-roles.js';
import { BranchViews } from './branch-views.js';
import { Branches } from './branches.js';
import { ComputeBases } from './compute-bases.js';
import { ComputeBook } from './compute-book.js';
import { ComputeSpecs } from './compute-spec.js';
import { ConnectCandidates } from './connect-candidates.js';
import { Connections } from './connections.js';
import type { ControlPlaneOptions } from './control-options.js';
import { DatabaseLoads } from './databases/database-loads.js';
import { databaseDefaults } from './databases/database-settings.js';
import { BranchEvents } from './events/branch-events.js';
import { expiryDefaults } from './expiry/expiry-settings.js';
import { Reaper } from './expiry/reaper.js';
import { BranchDeletion } from './lifecycle/branch-deletion.js';
import { BranchMoves } from './lifecycle/branch-moves.js';
import { Checkpoints } from './lifecycle/checkpoints.js';
import {
  computeMetrics,
  limitMetrics,
  type Metrics,
  type OperationWatch,
  operationWatch,
  pageReadHistograms,
  pageReadMetrics,
  receiverMetrics,
  retentionMetrics,
  storeMetrics,
  wakeMetrics,
  wakeObserver,
} from './metrics/index.js';
import { OperationBook } from './operations.js';
import { toProblem } from './problem.js';
import { TenantBytes } from './quota/tenant-bytes.js';
import { WriteAccounts } from './quota/write-accounts.js';
import { quotaDefaults, WriteQuotas } from './quota/write-quotas.js';
import { systemClock } from './sleep/clock.js';
import { ComputeRoom } from './sleep/compute-room.js';
import { resolveWakeSettings } from './sleep/wake-settings.js';
import { SnapshotTaker } from './snapshots/snapshot-taker.js';
import { surroundingsOf } from './surroundings.js';
import { Tenants } from './tenants.js';

/** What the control plane is made of. */
export interface ControlParts {
  readonly room: ComputeRoom;
  readonly computes: ComputeBook;
  readonly bases: ComputeBases;
  readonly views: BranchViews;
  readonly tenants: Tenants;
  readonly branches: Branches;
  readonly moves: BranchMoves;
  readonly checkpoints: Checkpoints;
  readonly connections: Connections;
  readonly operations: OperationBook;
  readonly roleCalls: BranchRoleCalls;
  readonly quotas: WriteQuotas;
  readonly bytes: TenantBytes;
  readonly reaper: Reaper;
  readonly snapshots: SnapshotTaker;
  readonly watch: OperationWatch;
  readonly loads: DatabaseLoads;
  /** Throws `branch_expired`, `shutting_down`. */
  expectUsable(branch: BranchRecord | undefined): void;
}

/** Makes them, and what they know of each other. `expectOpen` throws once the end has begun. */
export function composeParts(
  options: ControlPlaneOptions,
  metrics: Metrics,
  expectOpen: () => void,
): ControlParts {
  const { pageServer, driver, facts } = options;
  const wake = resolveWakeSettings(options.wake);
  const expiry = { ...expiryDefaults, ...options.expiry };
  const { catalog } = pageServer;
  const quota = { ...quotaDefaults, ...options.quota };
  const limits = new BranchLimits(driver, quota.writeBytesMax);
  const clock = options.clock ?? systemClock;
  const { computesMax } = options;
  const { computesPerTenantMax } = quota;
  const room = new ComputeRoom({ ...wake, computesMax, computesPerTenantMax }, clock, (tenant) =>
    tenantComputesFull(catalog.tenant(tenant), computesPerTenantMax),
  );
  const bytes = new TenantBytes(
    pageServer,
    quota.storedBytesPerTenantMax,
    quota.storedCheckMs,
    (branch, error) => options.onTrouble?.('what a tenant has stored is not known', { branch, error }),
  );
  const accounts = new WriteAccounts(pageServer, () => computes, limits, bytes);
  const idleTimeoutSeconds = (branch: BranchRecord | undefined) =>
    branch?.idleTimeoutSeconds ?? wake.idleTimeoutSeconds;
  const expectUsable = (branch: BranchRecord | undefined) => {
    expectOpen();
    if (branch !== undefined) catalog.refuseExpired(branch, new Date(clock.now()));
  };
  const bases = new ComputeBases((branch) => !computes.mayRead(branch));
  const specs = new ComputeSpecs(
    pageServer,
    () => roles,
    accounts,
    bases,
    new ConnectCandidates(pageServer, options.onTrouble),
  );
  const events = new BranchEvents(
    () => catalog,
    clock,
    options.events,
    (branch, error) => options.onTrouble?.('an event was not written down', { branch, error }),
  );
  const computes = new ComputeBook(
    surroundingsOf({
      options,
      clock,
      room,
      wake,
      specs,
      events,
      observer: wakeObserver(metrics),
      roles: () => roles,
      idleTimeoutSeconds,
      expectUsable,
    }),
  );
  const views = new BranchViews(() => catalog, computes, {
    nowMs: () => clock.now(),
    abandonedAfterSeconds: expiry.abandonedAfterSeconds,
    isTenantFull: (tenant) => bytes.isFull(tenant),
    idleTimeoutSeconds: (branch) => idleTimeoutSeconds(branch),
    sizeOf: (branch) => limits.sizeOf(branch),
    writeQuotaBytesOf: (branch) => limits.writeQuotaBytesOf(branch),
    writtenBytesOf: (branch) => accounts.written(branch),
    ownOf: (branch) => pageServer.measuredOf(branch),
  });
  const quotas = new WriteQuotas({ awake: () => computes.awake(), branch: (id) => accounts.find(id) }, quota);
  const roles = new RoleKeeper(() => catalog, computes, wake.roleTimeoutMs);
  const operations = new OperationBook({ endedMax: options.operationsEndedMax }, toProblem);
  const tenants = new Tenants(pageServer, computes, operations, events);
  const connections = new Connections(catalog, computes, facts);
  const roleNames = new TakenRoleNames(pageServer, options.onTrouble);
  const roleCalls = new BranchRoleCalls(catalog, roles, views, connections, roleNames, pageServer);
  const deletion = new BranchDeletion(pageServer, computes, views, events, () => reaper.stir());
  const watch = operationWatch(metrics);
  const reaper = new Reaper({
    catalog,
    clock,
    checkMs: expiry.checkMs,
    delete: (branch, now) => watch('expire', () => deletion.expire(branch, now)),
    shut: (branch) => deletion.shut(branch),
    onTrouble: (branch, error) => reportUndeleted(options, branch?.name ?? '', error),
  });
  const checkpoints = new Checkpoints(pageServer, computes, events, quota.checkpointsPerBranchMax);
  const snapshots = new SnapshotTaker({
    catalog,
    clock,
    checkMs: expiry.checkMs,
    take: (branch, periodic) => checkpoints.take(branch, periodic),
    onTrouble: (branch, error) =>
      options.onTrouble?.('a periodic checkpoint was not taken', { branch: branch?.name ?? '', error }),
  });
  const { branchesPerTenantMax: branchesMax } = quota;
  const moves = new BranchMoves({
    pageServer,
    computes,
    views,
    clock,
    branchesMax,
    events,
  });
  const branches = new Branches({
    events,
    branchesMax,
    defaultTtlSeconds: expiry.defaultTtlSeconds,
    refuseMore: (tenant) => bytes.refuseMore(tenant),
    onSnapshots: (branch) => snapshots.changed(branch),
    deletion,
    roleNames,
    clock,
    checkExpiry: () => reaper.stir(),
    pageServer,
    computes,
    views,
    limits,
    connections,
    checkQuotas: () => quotas.check(),
  });
  const loads = new DatabaseLoads({
    catalog,
    computes,
    checkpoints,
    deletion,
    operations,
    settings: { ...databaseDefaults, ...options.database },
    pgRestore: options.pgRestore,
    onTrouble: (message, facts) => options.onTrouble?.(message, facts),
  });
  const parts = {
    room,
    computes,
    bases,
    views,
    tenants,
    branches,
    moves,
    checkpoints,
    connections,
    operations,
    roleCalls,
    quotas,
    bytes,
    reaper,
    snapshots,
    watch,
    loads,
    expectUsable,
  };
  addMetrics(metrics, options, parts);
  return parts;
}

function addMetrics(
  metrics: Metrics,
  { pageServer, driver }: ControlPlaneOptions,
  { computes, quotas, room }: ControlParts,
): void {
  metrics.add(receiverMetrics(pageServer));
  metrics.add(storeMetrics(pageServer));
  metrics.add(retentionMetrics(pageServer));
  metrics.add(pageReadMetrics(pageServer));
  metrics.addHistograms(pageReadHistograms(pageServer));
  metrics.add(computeMetrics(computes, pageServer));
  metrics.add(limitMetrics(computes, quotas, driver.isolation));
  metrics.add(wakeMetrics(computes, room, () => pageServer.catalog.branchCount()));
}

function reportUndeleted({ onTrouble }: ControlPlaneOptions, branch: string, error: unknown): void {
  // What was given more time, or has branches by now, is as it should be.
  const { code } = asOffshootError(error);
  if (['branch_not_expired', 'branch_has_children', 'branch_not_found', 'branch_protected'].includes(code))
    return;
  onTrouble?.('a branch that has expired was not deleted, and is tried again', { branch, error });
}

function tenantComputesFull({ name }: TenantRecord, max: number) {
  return catalogError(
    'quota_reached',
    `tenant ${name} has ${max} computes awake, as many as it may (computesPerTenantMax ${max}), and all are in use`,
    {
      details: {
        action:
          'close connections, stop a compute (pageserver-ctl compute list), or raise the setting computesPerTenantMax',
      },
    },
  );
}
