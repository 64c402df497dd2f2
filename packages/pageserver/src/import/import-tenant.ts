import type { ImportSession, TenantStore } from '@offshoot/engine';
import { asOffshootError, type Lsn, randomTenantId, type TenantId, type TenantName } from '@offshoot/types';
import type { BranchWithTimeline, Catalog } from '../catalog/catalog.js';
import type { ImportStats, TenantRecord } from '../catalog/records.js';
import { storeBackupWal } from './backup-wal.js';
import { type StoredBackup, storeBaseBackup, type WalPosition } from './base-backup.js';
import { importError, sourceError } from './import-errors.js';
import { type ImportProgress, type ProgressReport, progressReport } from './import-progress.js';
import type { ImportSettings } from './import-settings.js';
import { ReplicationConnection } from './replication-connection.js';
import { createSlot, slotNameOf } from './replication-slot.js';
import { readSourceNames } from './source-names.js';
import { probeSource, type SourceProbe } from './source-probe.js';
import { checkSourceUrl, withoutPassword } from './source-url.js';

/** What an import is to bring in, and who wants to hear of it. */
export interface ImportRequest {
  readonly name: TenantName;
  /** A connection string as `pg` reads it; PGPASSWORD and .pgpass count. */
  readonly url: string;
  /** It becomes the template of new databases: its source is gone afterwards, and is not kept. */
  readonly template?: true | undefined;
  readonly onProgress?: ((progress: ImportProgress) => void) | undefined;
  /** Aborting it cancels the import; what it stored is removed. */
  readonly signal?: AbortSignal | undefined;
}

/** Where an import puts things. */
export interface ImportPlace {
  readonly catalog: Catalog;
  readonly settings: ImportSettings;
  /** Makes a tenant's directory and opens its store. */
  openStore(id: TenantId): Promise<TenantStore>;
  /** Keeps the connection string, password and all, in the tenant's directory. */
  keepUrl(id: TenantId, url: string): Promise<void>;
  /** Drops the tenant's slot at the source, if it has one and can be reached soon; never throws. */
  leaveSource(tenant: TenantRecord, url: string): Promise<unknown>;
  /** Removes a tenant's directory, whatever is in it. */
  removeFiles(id: TenantId): Promise<void>;
  log(message: string, facts: Readonly<Record<string, unknown>>): void;
}

/** An imported tenant, readable from now on. */
export interface ImportedTenant {
  readonly tenant: TenantRecord;
  readonly root: BranchWithTimeline;
  /** Open; the first timeline is attached. */
  readonly store: TenantStore;
}

/**
 * Imports a running Postgres: a base backup and the WAL from its start to its end. The tenant becomes active, with a
 * first branch of its name, in one step at the end; whatever happens before leaves nothing behind but an error.
 */
export async function importTenant(place: ImportPlace, request: ImportRequest): Promise<ImportedTenant> {
  const { catalog, settings } = place;
  const signal = request.signal ?? new AbortController().signal;
  const report = progressReport(request.onProgress ?? (() => {}), settings.progressIntervalMs);
  report({ phase: 'connect' });
  checkSourceUrl(request.url);
  catalog.refuseTakenName(request.name, request.template ? 'page server' : 'anybody');
  try {
    const connection = await ReplicationConnection.connect(request.url, settings, signal);
    const cancel = () => connection.destroy(cancelled());
    signal.addEventListener('abort', cancel, { once: true });
    try {
      signal.throwIfAborted();
      const probe = await probeSource(connection);
      const tenant = await reserve(place, request, probe, signal);
      return await fill({ place, tenant, url: request.url, connection, report, signal });
    } finally {
      signal.removeEventListener('abort', cancel);
      connection.close();
    }
  } catch (thrown) {
    throw signal.aborted ? cancelled() : asOffshootError(thrown);
  }
}

async function reserve(
  { catalog, settings, log }: ImportPlace,
  { name, url, template }: ImportRequest,
  probe: SourceProbe,
  signal: AbortSignal,
): Promise<TenantRecord> {
  const names = await readSourceNames(url, settings, signal).catch((thrown: unknown) => {
    const { message } = sourceError(thrown, 'reading names');
    log('the names of users and databases stay unknown', { tenant: name, reason: message });
    return { superuser: 'postgres', database: 'postgres', databases: [] };
  });
  signal.throwIfAborted();
  const { systemIdentifier, ...settingsOfSource } = probe;
  const id = randomTenantId();
  return await catalog.reserveTenant({
    id,
    name,
    source: template
      ? { url: '', systemIdentifier }
      : { url: withoutPassword(url), systemIdentifier, slot: slotNameOf(id) },
    ...(template ? { template } : {}),
    ...settingsOfSource,
    defaultUser: names.superuser,
    defaultDatabase: names.database,
    databases: names.databases,
  });
}

interface Filling {
  readonly place: ImportPlace;
  readonly tenant: TenantRecord;
  readonly url: string;
  readonly connection: ReplicationConnection;
  readonly report: ProgressReport;
  readonly signal: AbortSignal;
}

/** Fills a reserved tenant, or removes it. */
async function fill(filling: Filling): Promise<ImportedTenant> {
  const { place, tenant, url, connection } = filling;
  let store: TenantStore | undefined;
  try {
    store = await place.openStore(tenant.id);
    // Before there is a slot: whatever cuts the import short, there is a way to drop it.
    if (!tenant.template) await place.keepUrl(tenant.id, url);
    return await fillStore(filling, store);
  } catch (thrown) {
    // A slot in use cannot be dropped.
    connection.close();
    await place.leaveSource(tenant, url);
    await store?.close().catch((error: unknown) => logFailure(place, tenant, error));
    await removeTraces(place, tenant, thrown);
    throw thrown;
  }
}

async function fillStore(filling: Filling, store: TenantStore): Promise<ImportedTenant> {
  const { place, tenant, report, signal } = filling;
  const began = Date.now();
  const sessions: ImportSession[] = [];
  try {
    const { backup, walRecords } = await receive(filling, (start) => {
      const session = beginSession(store, tenant, start);
      sessions.push(session);
      return session;
    });
    report({ phase: 'finish' });
    const endLsn = backup.end.lsn;
    const { lastRecordLsn, unsupported } = await backup.session.finish(endLsn);
    signal.throwIfAborted();
    // The end of the last record up to the backup's end: the same point, as the engine spells it.
    const history = { readableFrom: lastRecordLsn, lastRecordLsn };
    store.attach({ index: tenant.rootIndex, ...history });
    const stats = statsOf(backup, { walRecords, unsupported, durationMs: Date.now() - began });
    const root = await place.catalog.activateTenant(tenant.id, { ...history, tli: backup.start.tli, stats });
    report({ phase: 'done', walLsn: lastRecordLsn });
    return { tenant: place.catalog.tenant(tenant.id), root, store };
  } catch (thrown) {
    for (const session of sessions) {
      await session.abort().catch((error: unknown) => logFailure(place, tenant, error));
    }
    throw thrown;
  }
}

async function receive(
  { place, tenant, connection, report }: Filling,
  begin: (start: WalPosition) => ImportSession,
): Promise<{ backup: StoredBackup; walRecords: number }> {
  const slot = slotNameOf(tenant.id);
  // Permanent: it keeps what is written after the import until that is followed.
  await createSlot(connection, slot);
  const backup = await storeBaseBackup(connection, place.settings, begin, report);
  report({ phase: 'wal', bytesDone: backup.bytes, walLsn: backup.start.lsn });
  const wanted = { slot, start: backup.start, end: backup.end.lsn };
  const { records } = await storeBackupWal(connection, place.settings, wanted, backup.session, report);
  return { backup, walRecords: records };
}

function beginSession(store: TenantStore, tenant: TenantRecord, start: WalPosition): ImportSession {
  return store.beginImport({
    index: tenant.rootIndex,
    startLsn: start.lsn,
    tli: start.tli,
    segmentBytes: tenant.walSegmentBytes,
    major: tenant.pgMajor,
    systemIdentifier: BigInt(tenant.source.systemIdentifier),
  });
}

function statsOf(
  { start, end, bytes, pages }: StoredBackup,
  rest: Pick<ImportStats, 'walRecords' | 'unsupported' | 'durationMs'>,
): ImportStats {
  return { startLsn: start.lsn as Lsn, endLsn: end.lsn, archiveBytes: bytes, pages, ...rest };
}

/** Files first, then the records: what is cut short here, the next start finishes. */
async function removeTraces(place: ImportPlace, tenant: TenantRecord, reason: unknown): Promise<void> {
  try {
    await place.removeFiles(tenant.id);
    await place.catalog.removeTenant(tenant.id);
  } catch (error) {
    logFailure(place, tenant, error);
    const { message } = asOffshootError(reason);
    await place.catalog
      .markTenantFailed(tenant.id, message)
      .catch((again: unknown) => logFailure(place, tenant, again));
  }
}

function logFailure({ log }: ImportPlace, { id, name }: TenantRecord, error: unknown): void {
  log('cleaning up after a failed import', { tenant: name, tenant_id: id, error: asOffshootError(error) });
}

function cancelled(): Error {
  return importError('import_cancelled', 'the import was cancelled; nothing of it is left');
}
