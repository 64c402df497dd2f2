import { formatLsn, type Lsn, parseLsn, type TenantId } from '@offshoot/types';
import { followError } from './follow-errors.js';
import { importError } from './import-errors.js';
import { type ConnectionSettings, ReplicationConnection, type ResultRow } from './replication-connection.js';

/** The slot at a source, and the cluster that it is a slot of. */
export interface SourceSlot {
  readonly name: string;
  /** Of the cluster, decimal. */
  readonly systemIdentifier: string;
  /** The cluster's timeline number (TLI) when it was imported. */
  readonly tli: number;
}

/** What the server at the other end is. */
export interface SystemIdentity {
  readonly systemIdentifier: string;
  readonly tli: number;
  /** Where its WAL ends that is on its disk. */
  readonly flushLsn: Lsn;
}

/** The slot that keeps WAL for a tenant. Slots of a cluster have one set of names. */
export function slotNameOf(tenant: TenantId): string {
  return `offshoot_${tenant.slice(0, 16)}`;
}

/** For whoever has to drop it by hand. */
export function dropSlotSql(name: string): string {
  return `SELECT pg_drop_replication_slot('${name}')`;
}

/** Keeps WAL from now on, until it is dropped. */
export async function createSlot(connection: ReplicationConnection, name: string): Promise<void> {
  await connection.run(`CREATE_REPLICATION_SLOT "${name}" PHYSICAL RESERVE_WAL`, 'making a replication slot');
}

/**
 * Drops the slot, on a connection of its own, within `timeoutMs`. Resolves when the cluster has no such slot; `tli` is
 * not known of an import that was cut short. Throws `source_unreachable`, `source_changed`, …
 */
export async function dropSlot(
  url: string,
  settings: ConnectionSettings,
  slot: Omit<SourceSlot, 'tli'> & { readonly tli: number | undefined },
  timeoutMs: number,
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  const late = AbortSignal.timeout(timeoutMs);
  const ends = AbortSignal.any([late, signal]);
  try {
    await withConnection(url, settings, ends, async (connection) => {
      const identity = await identifySystem(connection);
      refuseOtherSystem(identity, slot);
      // That a promoted standby has no such slot says nothing of the server that has it.
      if (slot.tli !== undefined) {
        refuseOtherTimeline(identity, { tli: slot.tli });
      }
      await connection.run(`DROP_REPLICATION_SLOT "${slot.name}" WAIT`, 'dropping its replication slot');
    });
  } catch (thrown) {
    if (late.aborted) {
      const seconds = timeoutMs / 1000;
      throw importError('source_unreachable', `the source did not drop the slot within ${seconds} s`);
    }
    if (
      (thrown as { details?: { source_sqlstate?: string } }).details?.source_sqlstate !== UNDEFINED_OBJECT
    ) {
      throw thrown;
    }
  }
}

const UNDEFINED_OBJECT = '42704';

/** Runs `work` on a replication connection, which is broken off when `signal` aborts. */
export async function withConnection<T>(
  url: string,
  settings: ConnectionSettings,
  signal: AbortSignal,
  work: (connection: ReplicationConnection) => Promise<T>,
): Promise<T> {
  const connection = await ReplicationConnection.connect(url, settings, signal);
  const abort = () => connection.destroy(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    signal.throwIfAborted();
    return await work(connection);
  } finally {
    signal.removeEventListener('abort', abort);
    connection.close();
  }
}

export async function identifySystem(connection: ReplicationConnection): Promise<SystemIdentity> {
  const row = onlyRow(await connection.run('IDENTIFY_SYSTEM', 'asking for its identity'));
  const { systemid, timeline, xlogpos } = row;
  if (typeof systemid !== 'string' || !/^\d+$/.test(timeline ?? '') || typeof xlogpos !== 'string') {
    throw importError('source_failed', 'the source did not say who it is');
  }
  return { systemIdentifier: systemid, tli: Number(timeline), flushLsn: parseLsn(xlogpos) };
}

/** Throws `source_changed`. */
export function refuseOtherSystem(
  identity: Pick<SystemIdentity, 'systemIdentifier'>,
  slot: Pick<SourceSlot, 'systemIdentifier'>,
): void {
  if (identity.systemIdentifier !== slot.systemIdentifier) {
    throw followError(
      'source_changed',
      `another cluster answers at the source's address: its system identifier is ${identity.systemIdentifier}, ` +
        `that of the one imported ${slot.systemIdentifier}`,
    );
  }
}

/** Throws `source_changed`. */
export function refuseOtherTimeline(
  { tli, flushLsn }: Pick<SystemIdentity, 'tli' | 'flushLsn'>,
  slot: Pick<SourceSlot, 'tli'>,
): void {
  if (tli !== slot.tli) {
    throw followError(
      'source_changed',
      `the source is on timeline ${tli} (at ${formatLsn(flushLsn)}), the one imported was on timeline ${slot.tli}: ` +
        'it was promoted, or restored to an earlier point',
    );
  }
}

/**
 * Where the WAL begins that the slot keeps. Throws `replication_slot_lost` when it keeps none or is not there, and
 * `source_changed` when that is because a standby answers: slots are not replicated.
 */
export async function readSlot(connection: ReplicationConnection, { name }: SourceSlot): Promise<Lsn> {
  const results = await connection.run(`READ_REPLICATION_SLOT "${name}"`, 'reading its replication slot');
  const { slot_type: type, restart_lsn: restartLsn } = onlyRow(results);
  if (typeof restartLsn === 'string') {
    return parseLsn(restartLsn);
  }
  if (typeof type === 'string') {
    throw slotInvalidated(name);
  }
  const standby = onlyRow(await connection.run('SHOW in_hot_standby', 'asking whether it is a standby'));
  throw standby.in_hot_standby === 'on' ? standbyWithoutSlot(name) : slotGone(name);
}

export function slotInvalidated(name: string): Error {
  return followError(
    'replication_slot_lost',
    `the source has removed WAL that was not received yet: its slot ${name} is lost (see max_slot_wal_keep_size there)`,
  );
}

export function slotGone(name: string): Error {
  return followError('replication_slot_lost', `the source has no replication slot ${name} any more`);
}

export function standbyWithoutSlot(name: string): Error {
  return followError(
    'source_changed',
    `a standby without the replication slot ${name} answers at the source's address`,
  );
}

function onlyRow(results: readonly ResultRow[][]): ResultRow {
  return results[0]?.[0] ?? {};
}
