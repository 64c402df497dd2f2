import { type Lsn, parseLsn } from '@offshoot/types';
import type { ConnectionSettings } from '../import/replication-connection.js';
import {
  identifySystem,
  readSlot,
  refuseOtherSystem,
  refuseOtherTimeline,
  type SourceSlot,
  slotGone,
  slotInvalidated,
  standbyWithoutSlot,
  withConnection,
} from '../import/replication-slot.js';
import { askSource } from '../import/source-sql.js';

/** What a source says of the slot that keeps WAL for us. */
export interface SlotLook {
  /** Where the source's WAL ends that is on its disk. */
  readonly sourceLsn: Lsn;
  /** WAL that the slot keeps there. */
  readonly retainedBytes: number;
  /** `reserved`, `extended`, `unreserved`; only by SQL, as the next. */
  readonly walStatus?: string | undefined;
  /** How much more may be written before WAL that is needed can be lost; absent without such a limit. */
  readonly safeWalBytes?: number | undefined;
}

const QUESTION = `
  SELECT (SELECT system_identifier::text FROM pg_catalog.pg_control_system()) AS system_identifier,
         pg_catalog.pg_is_in_recovery() AS standby,
         CASE WHEN NOT pg_catalog.pg_is_in_recovery()
              THEN ('x' || pg_catalog.left(pg_catalog.pg_walfile_name(flushed), 8))::bit(32)::int END AS tli,
         flushed::text, restart_lsn::text, slot_name, wal_status,
         (flushed - restart_lsn)::text AS retained, safe_wal_size::text
  FROM (SELECT CASE WHEN pg_catalog.pg_is_in_recovery()
                    THEN coalesce(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn())
                    ELSE pg_catalog.pg_current_wal_flush_lsn() END AS flushed) AS source
  LEFT JOIN pg_catalog.pg_replication_slots ON slot_name = $1`;

interface Answer {
  readonly system_identifier: string;
  readonly standby: boolean;
  /** Null on a standby. A WAL file's name begins with it, in hexadecimal digits. */
  readonly tli: number | null;
  readonly flushed: string;
  readonly restart_lsn: string | null;
  readonly slot_name: string | null;
  readonly wal_status: string | null;
  readonly retained: string | null;
  readonly safe_wal_size: string | null;
}

/**
 * Asks the source of the slot, by SQL; a role that may not connect to a database asks by the replication protocol, which
 * says less. Throws `replication_slot_lost`, `source_changed`, `source_unreachable`, …
 */
export async function lookAtSlot(
  url: string,
  settings: ConnectionSettings,
  slot: SourceSlot,
  signal: AbortSignal,
): Promise<SlotLook> {
  const answer = await askSource(url, settings, signal, async (client) => {
    const { rows } = await client.query<Answer>(QUESTION, [slot.name]);
    return rows[0];
  }).catch(() => undefined);
  return answer === undefined
    ? await lookByReplication(url, settings, slot, signal)
    : understood(answer, slot);
}

/** What SQL answered. Throws `replication_slot_lost`, `source_changed`. */
export function understood(answer: Answer, slot: SourceSlot): SlotLook {
  const sourceLsn = parseLsn(answer.flushed);
  refuseOtherSystem({ systemIdentifier: answer.system_identifier }, slot);
  if (answer.tli !== null) {
    refuseOtherTimeline({ tli: answer.tli, flushLsn: sourceLsn }, slot);
  }
  if (answer.slot_name === null) {
    throw answer.standby ? standbyWithoutSlot(slot.name) : slotGone(slot.name);
  }
  if (answer.restart_lsn === null || answer.wal_status === 'lost') {
    throw slotInvalidated(slot.name);
  }
  return {
    sourceLsn,
    retainedBytes: Math.max(0, Number(answer.retained)),
    walStatus: answer.wal_status ?? undefined,
    safeWalBytes: answer.safe_wal_size === null ? undefined : Math.max(0, Number(answer.safe_wal_size)),
  };
}

async function lookByReplication(
  url: string,
  settings: ConnectionSettings,
  slot: SourceSlot,
  signal: AbortSignal,
): Promise<SlotLook> {
  return await withConnection(url, settings, signal, async (connection) => {
    const identity = await identifySystem(connection);
    refuseOtherSystem(identity, slot);
    refuseOtherTimeline(identity, slot);
    const restartLsn = await readSlot(connection, slot);
    const { flushLsn } = identity;
    return { sourceLsn: flushLsn, retainedBytes: Math.max(0, Number(flushLsn - restartLsn)) };
  });
}
