import type { BranchName, Lsn, TenantId, TenantName, TimelineId } from '@offshoot/types';

declare const brand: unique symbol;

/** Names one branch for good, whatever it is called: 32 lower-case hexadecimal digits. */
export type BranchId = string & { readonly [brand]: 'BranchId' };

/**
 * - `importing`: not readable; a start of the daemon removes it.
 * - `active`: as it should be.
 * - `deleting`: on its way out; a start of the daemon finishes that.
 * - `failed`: an import that broke off and whose files could not be removed; the next start tries again.
 */
export type TenantState = 'importing' | 'active' | 'deleting' | 'failed';

/** Where a tenant came from, as its source said. */
export interface TenantSource {
  /** Without its password. */
  readonly url: string;
  /** Decimal, as Postgres writes it; it has 64 bits. */
  readonly systemIdentifier: string;
  /** The replication slot that keeps WAL for us there. Absent for tenants of versions that did not follow. */
  readonly slot?: string | undefined;
}

/** WAL of the source is missing for good. */
export interface NeedsReimport {
  readonly since: string;
  /** An error's. */
  readonly code: string;
  readonly message: string;
  /** Whether the source may still have the slot. */
  readonly slot: 'to_be_dropped' | 'dropped';
}

/** What an import brought in. */
export interface ImportStats {
  readonly startLsn: Lsn;
  readonly endLsn: Lsn;
  readonly archiveBytes: number;
  readonly pages: number;
  readonly walRecords: number;
  readonly durationMs: number;
  /** Copies of files of which the backup cannot be certain. */
  readonly unsupported: readonly { readonly name: string; readonly count: number }[];
}

/** See `HistorySettings`. */
export interface TenantHistory {
  readonly historySeconds?: number | undefined;
  readonly historyWalBytesMax?: number | undefined;
}

/** One imported Postgres cluster. */
export interface TenantRecord {
  readonly id: TenantId;
  readonly name: TenantName;
  readonly state: TenantState;
  /** RFC 3339, as all times here. */
  readonly createdAt: string;
  readonly source: TenantSource;
  /** The page server made it itself, for new databases to start from: it has no source, and nothing follows one. */
  readonly template?: true | undefined;
  readonly pgMajor: number;
  /** As `server_version_num`: 150018. */
  readonly pgVersionNum: number;
  readonly walSegmentBytes: number;
  readonly blockBytes: number;
  /** Postgres' own timeline number (TLI) of the source; absent before the import is whole. */
  readonly tli?: number | undefined;
  readonly dataChecksums: 'on' | 'off';
  /** For connection strings, as far as the source let us see it. */
  readonly defaultUser: string;
  readonly defaultDatabase: string;
  readonly databases: readonly string[];
  /** Index of the timeline that the import makes. */
  readonly rootIndex: number;
  readonly importStats?: ImportStats | undefined;
  /** What history is kept of it, where that differs from the daemon's settings. */
  readonly history?: TenantHistory | undefined;
  /** Set when it cannot be followed any further. What is there stays readable. */
  readonly needsReimport?: NeedsReimport | undefined;
  /** Why it is in state `failed`. */
  readonly failure?: string | undefined;
}

/** A line of WAL history within a tenant. */
export interface TimelineRecord {
  readonly id: TimelineId;
  readonly tenant: TenantId;
  /** The timeline's number in the engine: unsigned 32 bits, unique in the daemon, never used again. */
  readonly index: number;
  /** Absent for a tenant's first timeline. */
  readonly parent?: { readonly timeline: TimelineId; readonly ancestorLsn: Lsn } | undefined;
  /** Nothing below it can be read. */
  readonly readableFrom: Lsn;
  /** End of the last record, as of when this record was written. */
  readonly lastRecordLsn: Lsn;
  /** It was made to go on from a point of its branch's own history, so that its parent's is that too. */
  readonly continues?: true | undefined;
}

/** Whether commits on a branch's compute wait until the page server has them on disk. */
export type Durability = 'sync' | 'async';

/** A tenant's or branch's checkpoints that are taken again and again. */
export interface SnapshotPolicy {
  readonly everySeconds: number;
  /** So many of them stay, the newest. */
  readonly keep: number;
}

/** What can be chosen for a branch, and changed later. */
export interface BranchSettings {
  /** From then on nobody can use it, and it is deleted once no branch starts from it. Absent: never. */
  readonly expiresAt?: string | undefined;
  /** What its maker says of it, by name. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** It is not deleted, reset, restored or made to expire. */
  readonly protected?: true | undefined;
  readonly snapshots?: SnapshotPolicy | undefined;
  /** Of computes that start from now on. Absent, as in older catalogs: `sync`. */
  readonly durability?: Durability | undefined;
  /** Without connections and work for so long its compute is put to sleep; 0: never. Absent: the daemon's setting. */
  readonly idleTimeoutSeconds?: number | undefined;
  /** Cores. Absent, as the others here: the daemon's setting. */
  readonly cpuMin?: number | undefined;
  readonly cpuMax?: number | undefined;
  /** Of computes that start from now on. */
  readonly memoryBytes?: number | undefined;
  /** WAL that may be written on the branch; 0: any. */
  readonly writeQuotaBytes?: number | undefined;
}

/** A role that a branch has of its own. */
export interface BranchRoleRecord {
  readonly name: string;
  /** What its password is compared with, as pg_authid has it; the password itself is nowhere. */
  readonly verifier: string;
  readonly rights: 'owner' | 'superuser';
  readonly passwordSetAt: string;
}

/** What roles of branches are, durably, in a branch's data: starts after that need not look. */
export interface RolesApplied {
  /** Whose data that is. */
  readonly timeline: TimelineId;
  /** Of the branch's own role. Absent: it has none, and others' are shut. */
  readonly verifier?: string | undefined;
}

/** How a branch's compute has been used, as far as it was written down. */
export interface BranchUse {
  /** How often it was started. */
  readonly wakes: number;
  readonly firstWakeAt?: string | undefined;
  readonly firstConnectionAt?: string | undefined;
  /** When the first and the newest statement of a client began. */
  readonly firstQueryAt?: string | undefined;
  readonly lastQueryAt?: string | undefined;
  /** When its last compute ended. */
  readonly sleptAt?: string | undefined;
  /** WAL of its computes before the last, and where the last one's begins: between them LSNs are left out. */
  readonly wal?: { readonly bytesBefore: number; readonly startLsn: Lsn } | undefined;
  /** When the last connection began or ended. */
  readonly lastConnectionAt?: string | undefined;
  readonly lastWake?:
    | { readonly at: string; readonly phasesMs: Readonly<Record<string, number>> }
    | undefined;
}

/**
 * A named LSN of a branch. It holds its timeline, also when the branch has gone on to another one, and what the timeline
 * was like at that LSN.
 */
export interface CheckpointRecord {
  readonly branch: BranchId;
  readonly name: string;
  readonly timeline: TimelineId;
  readonly lsn: Lsn;
  readonly createdAt: string;
  /** `periodic`: by the branch's snapshot policy, which also deletes it. */
  readonly kind: 'manual' | 'periodic';
}

/** Names one token of the management API for good: 32 lower-case hexadecimal digits. */
export type TokenId = string & { readonly [brand]: 'TokenId' };

/** Who asked for something: a token, or the data directory's own (`daemon`). */
export interface Actor {
  readonly token: TokenId | 'daemon';
  /** As it was called then. */
  readonly name: string;
}

/** A token of the management API. Its secret is nowhere. */
export interface TokenRecord {
  readonly id: TokenId;
  readonly name: string;
  readonly scope: 'admin' | 'read' | 'branch';
  /** SHA-256 of its secret, in hexadecimal digits. */
  readonly secretHash: string;
  readonly createdAt: string;
  readonly createdBy: Actor;
  /** Absent: never. */
  readonly expiresAt?: string | undefined;
  /** Of scope `branch`: what it may branch. */
  readonly parents?: readonly BranchId[] | undefined;
  /** Of scope `branch`: besides what comes of its own branches. Absent: `own`. */
  readonly reach?: 'own' | 'parents' | undefined;
  /** As far as it was written down. */
  readonly lastUsedAt?: string | undefined;
}

/** That a branch was made or changed under a key: the same call again is answered the same. */
export interface IdempotencyRecord {
  /** Digest of the key and of whose it is. */
  readonly key: string;
  /** Digest of what was asked for. */
  readonly requestHash: string;
  readonly expiresAt: string;
  /** The branch that was made or changed. */
  readonly branch: BranchId;
  /** With the key itself it gives the password that was told, which is nowhere. Absent: there was none. */
  readonly passwordNonce?: string | undefined;
  /** The branch's role, as it was made, has this; another one has another password. */
  readonly passwordSetAt?: string | undefined;
  /** What the answer said besides the branch, as JSON. */
  readonly answer: string;
}

/** The user's name for a timeline. */
export interface BranchRecord extends BranchSettings {
  readonly id: BranchId;
  readonly tenant: TenantId;
  readonly name: BranchName;
  readonly timeline: TimelineId;
  /** Absent for a tenant's first branch. */
  readonly parent?: BranchId | undefined;
  readonly createdAt: string;
  /** When the request to make it came. */
  readonly requestedAt?: string | undefined;
  /** Absent, as in older catalogs: it has had no compute. */
  readonly use?: BranchUse | undefined;
  readonly role?: BranchRoleRecord | undefined;
  /** It has, or had: its data, and that of branches of it, may hold roles that were made for it. */
  readonly hadRole?: true | undefined;
  readonly rolesApplied?: RolesApplied | undefined;
  /** Absent: in catalogs of earlier versions. */
  readonly createdBy?: Actor | undefined;
  /** Where in its parent's history it was asked for, in its maker's words. */
  readonly askedAt?: string | undefined;
  /** A dump is being loaded into it: until that is whole it is nobody's, and the next start of the daemon deletes it. */
  readonly loading?: true | undefined;
}
