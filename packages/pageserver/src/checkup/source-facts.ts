import type { Client } from 'pg';

/** What a source says of itself by ordinary SQL; null where the role may not see it. */
export interface SourceFacts {
  readonly user: string;
  readonly database: string;
  readonly serverVersionNum: number;
  readonly inRecovery: boolean;
  readonly mayReplicate: boolean;
  readonly walLevel: string;
  readonly walSendersMax: number;
  readonly walSendersUsed: number;
  readonly slotsMax: number;
  readonly slotsUsed: number;
  readonly connectionsMax: number;
  readonly connectionsUsed: number;
  /** MB; -1: none. */
  readonly slotKeepMb: number;
  readonly databaseBytes: number;
  /** Databases whose size it may not see. */
  readonly databasesUnseen: number;
  /** Resource managers that extensions have brought. */
  readonly foreignManagers: readonly string[];
  /** Slots of ours that nobody reads. */
  readonly slotsLeft: readonly string[];
}

const FACTS = `SELECT current_user::text AS "user", current_database()::text AS database,
  current_setting('server_version_num')::int AS "serverVersionNum", pg_is_in_recovery() AS "inRecovery",
  (SELECT rolsuper OR rolreplication FROM pg_catalog.pg_roles WHERE rolname = current_user) AS "mayReplicate",
  current_setting('wal_level') AS "walLevel",
  current_setting('max_wal_senders')::int AS "walSendersMax",
  (SELECT count(*)::int FROM pg_catalog.pg_stat_get_wal_senders()) AS "walSendersUsed",
  current_setting('max_replication_slots')::int AS "slotsMax",
  (SELECT count(*)::int FROM pg_catalog.pg_replication_slots) AS "slotsUsed",
  current_setting('max_connections')::int AS "connectionsMax",
  (SELECT count(*)::int FROM pg_catalog.pg_stat_activity WHERE backend_type IS NULL OR backend_type = 'client backend')
    AS "connectionsUsed",
  (SELECT setting::int FROM pg_catalog.pg_settings WHERE name = 'max_slot_wal_keep_size') AS "slotKeepMb",
  (SELECT coalesce(sum(pg_catalog.pg_database_size(oid)), 0)::float8 FROM pg_catalog.pg_database
    WHERE pg_catalog.has_database_privilege(oid, 'CONNECT')) AS "databaseBytes",
  (SELECT count(*)::int FROM pg_catalog.pg_database WHERE NOT pg_catalog.has_database_privilege(oid, 'CONNECT')) AS
    "databasesUnseen",
  ARRAY(SELECT slot_name::text FROM pg_catalog.pg_replication_slots
    WHERE slot_name ~ '^offshoot_[0-9a-f]{16}$' AND NOT active ORDER BY 1) AS "slotsLeft"`;

/** Not before Postgres 15. */
const FOREIGN_MANAGERS =
  'SELECT rm_name::text AS name FROM pg_catalog.pg_get_wal_resource_managers() WHERE NOT rm_builtin ORDER BY 1';

export async function readSourceFacts(client: Client): Promise<SourceFacts> {
  const { rows } = await client.query<Omit<SourceFacts, 'foreignManagers'>>(FACTS);
  const [facts] = rows;
  if (facts === undefined) throw new Error('the source answered nothing');
  const foreign =
    facts.serverVersionNum < 150_000 ? [] : (await client.query<{ name: string }>(FOREIGN_MANAGERS)).rows;
  return { ...facts, foreignManagers: foreign.map(({ name }) => name) };
}
