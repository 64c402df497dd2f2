import { mkdirSync } from 'node:fs';
import type { Lsn, TenantId, TimelineId } from '@offshoot/types';
import { type Database, type DatabaseOptions, open, type RootDatabase } from 'lmdb';
import { Packr } from 'msgpackr';
import { BranchTable } from './branch-table.js';
import { catalogError } from './catalog-errors.js';
import type {
  BranchId,
  CheckpointRecord,
  IdempotencyRecord,
  TenantRecord,
  TimelineRecord,
  TokenId,
  TokenRecord,
} from './records.js';
import { upgradeTables } from './upgrade-tables.js';

/** Changes when a reader of an older catalog would misread a newer one. */
const SCHEMA_VERSION = 3;

/** Named databases in the catalog's environment. */
const TABLES_MAX = 32;

/** The catalog's tables: LMDB databases in one environment, so that one transaction may write them all. */
export interface CatalogTables {
  readonly root: RootDatabase;
  /** `schema_version`, `next_timeline_index`, and how many branches each tenant has, by `branches_of/TENANT`. */
  readonly meta: Database<number, string>;
  readonly tenants: Database<TenantRecord, TenantId>;
  readonly timelines: Database<TimelineRecord, TimelineId>;
  readonly branches: BranchTable;
  /** Names of tenants and branches are one set: a tenant's first branch has the tenant's name. */
  readonly tenantNames: Database<TenantId, string>;
  readonly branchNames: Database<BranchId, string>;
  /** [parent, child] → name of the child. */
  readonly children: Database<string, [BranchId, BranchId]>;
  /** [when, branch] → its name, of branches that expire. */
  readonly expiries: Database<string, [string, BranchId]>;
  /** [branch, checkpoint's name] */
  readonly checkpoints: Database<CheckpointRecord, [BranchId, string]>;
  /** What holds a timeline: see {@link TimelineHold}. Those of one kind that need an LSN of it have that as their value. */
  readonly holds: Database<Lsn, TimelineHold>;
  readonly tokens: Database<TokenRecord, TokenId>;
  /** By the digest of a key and of whose it is. */
  readonly idempotencyKeys: Database<IdempotencyRecord, string>;
  /** [when it is forgotten, key] → name of the branch */
  readonly idempotencyExpiries: Database<string, [string, string]>;
}

/**
 * [timeline, kind, who]. A `branch` that names it, a `child` timeline that begins there, a `checkpoint` (branch and name,
 * with a `/` between). A timeline that nothing holds is removed.
 */
export type TimelineHold = [TimelineId, 'branch' | 'child' | 'checkpoint', string];

/**
 * Opens the tables in `dir`, making them when they are not there. With `overlappingSync` off, lmdb's write thread
 * commits as plain LMDB does: data pages are flushed, then the meta page is written through (O_DSYNC), and only then
 * does the transaction's promise resolve. With it on (lmdb's default) a promise may resolve before the flush.
 *
 * `eventTurnBatching` is off because its batches hold a promise that nobody can catch: when a commit fails, as on a full
 * disk, its rejection would end the process. Transactions that come together are committed together all the same.
 */
export function openTables(dir: string): CatalogTables {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const root = open({
    path: dir,
    overlappingSync: false,
    eventTurnBatching: false,
    maxDbs: TABLES_MAX,
    encoder: encoder(),
  });
  const table = <V, K extends string | string[]>(name: string): Database<V, K> => {
    // lmdb's types know an encoder only for the root, yet every database takes one.
    const options: DatabaseOptions & { encoder: Packr } = { encoder: encoder() };
    return root.openDB<V, K>(name, options);
  };
  const meta = table<number, string>('meta');
  const version = checkVersion(meta);
  const tables: CatalogTables = {
    root,
    meta,
    tenants: table('tenants'),
    timelines: table('timelines'),
    branches: new BranchTable(table('branches')),
    tenantNames: table('tenant_names'),
    branchNames: table('branch_names'),
    children: table('children'),
    expiries: table('expiries'),
    checkpoints: table('checkpoints'),
    holds: table('holds'),
    tokens: table('tokens'),
    idempotencyKeys: table('idempotency_keys'),
    idempotencyExpiries: table('idempotency_expiries'),
  };
  if (version < SCHEMA_VERSION) upgradeTables(tables, version, SCHEMA_VERSION);
  return tables;
}

/** Plain maps, so that a value can be read without any other value: no structures are shared between records. */
function encoder(): Packr {
  return new Packr({ useRecords: false });
}

/** 0: it is new. */
function checkVersion(meta: Database<number, string>): number {
  const version = meta.get('schema_version') ?? 0;
  if (version > SCHEMA_VERSION) {
    throw catalogError(
      'catalog_too_new',
      `the catalog has format ${version}; this version of Offshoot reads up to ${SCHEMA_VERSION}`,
    );
  }
  return version;
}
