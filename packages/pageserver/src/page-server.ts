import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DirectoryLock, type PageReads, TenantStore, type TenantStoreStats } from '@offshoot/engine';
import {
  asOffshootError,
  type BranchName,
  formatLsn,
  type Lsn,
  type OffshootError,
  TEMPLATE_NAME,
  type TenantId,
  type TenantName,
  type TimelineId,
} from '@offshoot/types';
import type { BranchMove, MovedBranch } from './catalog/branch-move.js';
import {
  type BranchWithTimeline,
  Catalog,
  type CatalogSurroundings,
  type NewBranch,
  type NewBranchChoice,
  type NewCheckpoint,
} from './catalog/catalog.js';
import { branchChanged, catalogError } from './catalog/catalog-errors.js';
import type { BranchRecord, CheckpointRecord, TenantRecord, TimelineRecord } from './catalog/records.js';
import { checkSource, type SourceCheck } from './checkup/index.js';
import type { ComputeWalState, TimelineWal } from './compute-wal/timeline-wal.js';
import { WalBook } from './compute-wal/wal-book.js';
import { followError } from './import/follow-errors.js';
import {
  type ImportedTenant,
  type ImportPlace,
  type ImportRequest,
  importTenant,
} from './import/import-tenant.js';
import { checkSourceUrl } from './import/source-url.js';
import { OpenTenant } from './open-tenant.js';
import type { OpenTimeline } from './open-timeline.js';
import { pageServerError } from './page-server-error.js';
import { type PageServerSettings, pageServerDefaults } from './page-server-settings.js';
import type { PageSource } from './page-service/page-source.js';
import { type BranchStorage, BranchStorages } from './retention/branch-storage.js';
import { Collector, type CollectorView, type Keeper } from './retention/collector.js';
import { type Reclaimed, Reclaimer } from './retention/reclaimer.js';
import type { HistorySettings } from './retention/retention-settings.js';
import type { MeasuredTimeline } from './retention/timeline-measures.js';
import type { CaughtUp } from './wal/catch-up.js';
import { followTenant } from './wal/follow-tenant.js';
import { type LeftOnSource, leaveSource } from './wal/leave-source.js';
import type { ProductionReceiver } from './wal/production-receiver.js';
import type { ReceiverView } from './wal/receiver-view.js';
import { keepSourceUrl, readSourceUrl } from './wal/source-url-file.js';

/** Takes what an operator should know. */
export type PageServerLog = (message: string, facts: Readonly<Record<string, unknown>>) => void;

export interface PageServerOptions extends CatalogSurroundings {
  /** Holds `catalog`, `tenants` and `lock`; made when it is not there. */
  readonly dataDir: string;
  /** What differs from `pageServerDefaults`. */
  readonly settings?: Partial<PageServerSettings> | undefined;
  readonly log?: PageServerLog | undefined;
}

export interface PageServerStats {
  readonly catalogBytes: number;
  /** Of tenants that are open. */
  readonly tenants: ReadonlyMap<TenantId, TenantStoreStats>;
}

export interface ComputeWalStats {
  readonly logs: Readonly<Record<ComputeWalState, number>>;
  readonly reconnects: number;
}

/** The storage node: tenants, their timelines and branches, and the pages in them. Page service and API sit on it. */
export class PageServer implements PageSource {
  readonly catalog: Catalog;
  readonly #dataDir: string;
  readonly #settings: PageServerSettings;
  readonly #log: PageServerLog;
  readonly #lock: DirectoryLock;
  readonly #tenants = new Map<TenantId, OpenTenant>();
  readonly #unavailable = new Map<TenantId, OffshootError>();
  readonly #receivers = new Map<TenantId, ProductionReceiver>();
  readonly #imports = new Map<
    AbortController,
    { readonly name: TenantName; readonly ended: Promise<unknown> }
  >();
  readonly #deletions = new Map<TenantId, Promise<LeftOnSource | undefined>>();
  /** Of branches: their computes' WAL. */
  readonly #wals: WalBook;
  readonly #reclaimer: Reclaimer;
  readonly #collector: Collector;
  readonly #storages: BranchStorages;
  /** What the catalog has of it: where other timelines begin, and checkpoints. */
  readonly #keepers: Keeper[] = [(timeline) => this.#keptByCatalog(timeline)];
  #closing: Promise<void> | undefined;

  private constructor(options: PageServerOptions, lock: DirectoryLock) {
    this.#dataDir = options.dataDir;
    this.#settings = { ...pageServerDefaults, ...options.settings };
    this.#log = options.log ?? (() => {});
    this.#lock = lock;
    this.#wals = new WalBook({
      settings: this.#settings.computeWal,
      recover: (timeline) => this.#openTenant(timeline.tenant).recoverLog(timeline),
      remove: (timeline) => this.#openTenant(timeline.tenant).removeLog(timeline),
      follow: (timeline, walStart) =>
        this.#openTenant(timeline.tenant).followWal(timeline, undefined, walStart),
    });
    this.catalog = Catalog.open(join(options.dataDir, 'catalog'), options);
    this.#collector = new Collector({
      settings: this.#settings.retention,
      catalog: this.catalog,
      open: (tenant) => this.#tenants.get(tenant),
      keepers: this.#keepers,
      now: Date.now,
    });
    this.#storages = new BranchStorages(this.catalog, this.#collector, Date.now);
    this.#reclaimer = new Reclaimer({
      settings: this.#settings.retention,
      catalog: this.catalog,
      open: (tenant) => this.#tenants.get(tenant),
      onFailure: (tenant, error) => this.#retentionFailed('what deleted branches have stored', tenant, error),
    });
  }

  /**
   * Opens a data directory: finishes deletions and removes imports that broke off, then opens every tenant, indexes what
   * WAL logs hold, and follows the tenants' sources. A tenant whose store cannot be opened stays listed and answers
   * `tenant_unavailable`. Throws `directory_locked` when another process serves the directory.
   */
  static async open(options: PageServerOptions): Promise<PageServer> {
    await mkdir(join(options.dataDir, 'tenants'), { recursive: true, mode: 0o700 });
    const lock = DirectoryLock.take(options.dataDir);
    let server: PageServer | undefined;
    try {
      server = new PageServer(options, lock);
      await server.#sweep();
      await server.#openTenants();
      return server;
    } catch (thrown) {
      await server?.close();
      lock.release();
      throw thrown;
    }
  }

  /**
   * LSNs that a keeper names stay readable. Who takes hold of one pins it first (`OpenTimeline.pin`, which refuses what is
   * gone) until the keeper names it. What it names when `startRetention` is called is taken to have been kept all along.
   */
  addKeeper(keeper: Keeper): void {
    this.#keepers.push(keeper);
  }

  /** From now on what is behind the tenants' windows is removed again and again. */
  startRetention(): void {
    this.#collector.start(
      () => this.#tenants.keys(),
      (tenant, error) => this.#retentionFailed('history that is not kept', tenant, error),
    );
  }

  /** A round over a tenant now; resolves at its end. Throws `tenant_unavailable`, `tenant_not_active`. */
  async collect(tenant: TenantId): Promise<CollectorView> {
    this.#openTenant(tenant);
    await this.#reclaimer.run(tenant);
    await this.#collector.run(tenant);
    return this.#collector.view(tenant);
  }

  /** What was removed of a tenant's history since the start. */
  collectedOf(tenant: TenantId): CollectorView {
    return this.#collector.view(tenant);
  }

  /** What history is kept of a tenant: its own settings, else the daemon's. */
  historyOf(tenant: TenantId): HistorySettings {
    return this.#collector.historyOf(tenant);
  }

  /** What is stored under a branch's own timeline, as of the last round. */
  measuredOf({ tenant, timeline }: BranchRecord): MeasuredTimeline | undefined {
    const open = this.#tenants.get(tenant)?.find(timeline);
    return open && this.#collector.measures.of(open);
  }

  /**
   * What a branch has stored and what it pins: of its own it is measured now if it has changed, for which there are
   * `waitMs`; the rest is as of the last round. Throws `tenant_unavailable`.
   */
  storageOf(branch: BranchRecord, waitMs: number): Promise<BranchStorage> {
    return this.#storages.of(this.#openTenant(branch.tenant), branch, waitMs);
  }

  #keptByCatalog(timeline: TimelineId): Lsn[] {
    // As of now: whoever let go of an LSN a moment ago relies on it.
    this.catalog.refresh();
    return this.catalog.keptLsns(timeline).map(({ lsn }) => lsn);
  }

  #retentionFailed(what: string, tenant: TenantId, error: unknown): void {
    const facts = { tenant: this.catalog.findTenant(tenant)?.name, tenant_id: tenant };
    this.#log(`${what} cannot be removed for now`, { ...facts, error: asOffshootError(error) });
  }

  /** Throws `timeline_not_found`, `tenant_unavailable`. */
  async timeline(tenant: TenantId, timeline: TimelineId): Promise<OpenTimeline> {
    return this.timelineOf(tenant, timeline);
  }

  /** Why a tenant could not be opened, or undefined. */
  unavailable(tenant: TenantId): OffshootError | undefined {
    return this.#unavailable.get(tenant);
  }

  /** How a tenant's source is followed; undefined when it never was. */
  receiverOf(tenant: TenantId): ReceiverView | undefined {
    return this.#receivers.get(tenant)?.view();
  }

  /**
   * Resolves when all that a tenant's source has on its disk now can be read here. Throws `production_not_followed`,
   * `production_unreachable`, `production_behind` past `timeoutMs`.
   */
  async catchUp(tenant: TenantId, timeoutMs = this.#settings.follow.catchUpTimeoutMs): Promise<CaughtUp> {
    const receiver = this.#receivers.get(tenant);
    if (receiver === undefined) {
      throw followError('production_not_followed', 'production has never been followed for this tenant');
    }
    return await receiver.catchUp(AbortSignal.timeout(timeoutMs));
  }

  /** How WAL of computes comes in: logs by state, and connections that were made anew. */
  computeWal(): ComputeWalStats {
    return { logs: this.#wals.counts(), reconnects: this.#wals.reconnects };
  }

  /** Up to where a tenant's source can be read here; undefined for one that is not open. */
  lastRecordLsnOf(tenant: TenantRecord): Lsn | undefined {
    const root = this.catalog.rootTimeline(tenant);
    return root && this.#tenants.get(tenant.id)?.find(root.id)?.lastRecordLsn();
  }

  /** Up to where a branch's WAL is here, on disk if not in its pages yet; undefined when its tenant is not open. */
  receivedLsnOfBranch({ tenant, timeline }: BranchRecord): Lsn | undefined {
    const last = this.#tenants.get(tenant)?.find(timeline)?.lastRecordLsn();
    const received = this.#wals.receivedLsn(timeline);
    return last !== undefined && received !== undefined && received > last ? received : last;
  }

  /** The timeline that a branch names. Throws `branch_not_found`, `tenant_unavailable`. */
  timelineOfBranch(name: BranchName): OpenTimeline {
    const { tenant, timeline } = this.catalog.branchNamed(name);
    return this.timelineOf(tenant, timeline);
  }

  /** A timeline that the catalog has. Throws `timeline_not_found`, `tenant_unavailable`. */
  timelineOf(tenant: TenantId, timeline: TimelineId): OpenTimeline {
    const open = this.#openTenant(tenant);
    // One that was removed a moment ago is in no answer to what is read from here on.
    if (open.find(timeline) === undefined) this.catalog.refresh();
    // Between the catalog's commit and its maker's next step it is not attached yet.
    const record = open.find(timeline) === undefined ? this.catalog.findTimeline(timeline) : undefined;
    return (record && open.attach(record)) ?? open.find(timeline) ?? this.#noTimeline(tenant, timeline);
  }

  /** WAL of a compute that is about to be started on a branch; `recoverBranch` comes first. */
  walOfCompute({ timeline }: BranchRecord): TimelineWal {
    return this.#wals.ofCompute(this.catalog.timeline(timeline));
  }

  /**
   * Everything that a former compute of the branch had acknowledged is in its pages when this resolves, with the end of
   * its last record. Throws `wal_not_taken_in`, `wal_damaged`.
   */
  async recoverBranch({ tenant, timeline }: BranchRecord): Promise<Lsn> {
    const record = this.catalog.timeline(timeline);
    const open = await this.timeline(tenant, timeline);
    if (record.parent !== undefined) {
      await this.#wals.recover(record);
    }
    return open.lastRecordLsn();
  }

  /**
   * Resolves when all that was received of a branch's compute, or all up to `lsn`, is in its pages. Throws why it cannot
   * be, and the signal's reason.
   */
  async settleBranch({ timeline }: BranchRecord, lsn: Lsn | undefined, signal: AbortSignal): Promise<void> {
    const record = this.catalog.timeline(timeline);
    if (record.parent !== undefined) {
      await this.#wals.settle(record, lsn, signal);
    }
  }

  /**
   * Makes a branch of `from` as it is at `lsn`, by default at its newest; `timeline` as in `NewBranch`. Durable and readable
   * when it resolves. Throws `name_taken`, `branch_not_found`, `branch_point_out_of_range`, `tenant_not_active`, and what
   * `Catalog.createBranch` throws.
   */
  async createBranch(
    name: BranchName,
    from: BranchName,
    lsn?: Lsn,
    { timeline, ...choice }: NewBranchChoice & Pick<NewBranch, 'timeline' | 'branchesMax'> = {},
  ): Promise<BranchWithTimeline> {
    this.#expectOpen();
    const parent = this.catalog.branchNamed(from);
    const open = this.#openPoint(parent, timeline ?? parent.timeline);
    const ancestorLsn = lsn ?? open.lastRecordLsn();
    // From here on it is kept, or refused; the branch itself holds it once it is attached.
    const pin = pinPoint(parent, open, ancestorLsn);
    try {
      const of = { parent: parent.id, timeline: timeline ?? parent.timeline, ancestorLsn, held: true };
      const made = await this.catalog.createBranch({ name, ...of, ...choice });
      this.#begin(parent.tenant, made.timeline);
      return made;
    } finally {
      pin[Symbol.dispose]();
    }
  }

  /**
   * Has a branch go on from `point`: see `Catalog.moveBranch`. No compute may run on it. Whoever reads what it named gets
   * errors from then on, unless something holds that.
   */
  async moveBranch(branch: BranchRecord, move: BranchMove): Promise<MovedBranch> {
    this.#expectOpen();
    const pin = this.pinPoint(branch, move.point);
    let moved: MovedBranch;
    try {
      moved = await this.catalog.moveBranch(branch.id, { ...move, held: true });
      // From here on its new timeline holds where it begins.
      this.#begin(branch.tenant, moved.timeline);
    } finally {
      pin[Symbol.dispose]();
    }
    await this.#removeTimelines(branch.name, moved.removed);
    return moved;
  }

  /**
   * Throws `branch_not_found`, and what `Catalog.deleteBranch` throws. Whoever reads it gets errors from then on, unless
   * something holds its timeline.
   */
  async deleteBranch(name: BranchName, condition: { expiredBy?: Date | undefined } = {}): Promise<void> {
    this.#expectOpen();
    const { id } = this.catalog.branchNamed(name);
    const { removed } = await this.catalog.deleteBranch(id, condition);
    await this.#removeTimelines(name, removed);
  }

  /** See `Catalog.createCheckpoint`. */
  async createCheckpoint(branch: BranchRecord, checkpoint: NewCheckpoint): Promise<CheckpointRecord> {
    this.#expectOpen();
    const pin = this.pinPoint(branch, checkpoint);
    let made: Awaited<ReturnType<Catalog['createCheckpoint']>>;
    try {
      // Once it is in the catalog, that keeps it.
      made = await this.catalog.createCheckpoint({ ...checkpoint, held: true });
    } finally {
      pin[Symbol.dispose]();
    }
    await this.#removeTimelines(branch.name, made.removed);
    return made.checkpoint;
  }

  /** See `Catalog.deleteCheckpoint`. */
  async deleteCheckpoint({ id, name: branch }: BranchRecord, name: string): Promise<CheckpointRecord> {
    this.#expectOpen();
    const { checkpoint, removed } = await this.catalog.deleteCheckpoint(id, name);
    await this.#removeTimelines(branch, removed);
    return checkpoint;
  }

  /**
   * Keeps a point of a branch's history, or of one of its checkpoints, until it is disposed of. Throws
   * `branch_point_out_of_range` when it cannot be read, `branch_changed`.
   */
  pinPoint(branch: BranchRecord, { timeline, lsn }: BranchMove['point']): Disposable {
    return pinPoint(branch, this.#openPoint(branch, timeline), lsn);
  }

  /** Throws `branch_changed` when what was there as a point of it was chosen is not any more. */
  #openPoint(branch: BranchRecord, timeline: TimelineId): OpenTimeline {
    const open = this.#openTenant(branch.tenant);
    if (this.catalog.findTimeline(timeline) === undefined) throw branchChanged(branch);
    return open.find(timeline) ?? this.timelineOf(branch.tenant, timeline);
  }

  /** Of one that has nothing yet. */
  #begin(tenant: TenantId, timeline: TimelineRecord): void {
    this.#collector.measures.begin(this.#openTenant(tenant).attach(timeline));
  }

  /** The one place where timelines end: they are in the catalog no more. */
  async #removeTimelines(branch: BranchName, timelines: readonly TimelineRecord[]): Promise<void> {
    await this.#wals.abandon(timelines.map(({ id }) => id));
    for (const timeline of timelines) {
      const open = this.#tenants.get(timeline.tenant);
      open?.detach(timeline);
      // Should it stay for now, the next start removes it.
      await open?.removeLog(timeline).catch((error: unknown) => {
        this.#log('the WAL log of a deleted branch cannot be removed', { branch, error });
      });
    }
    for (const tenant of new Set(timelines.map((each) => each.tenant))) this.#reclaimer.soon(tenant);
  }

  /**
   * Throws what an import of that name would be refused with before it begins: `source_url_invalid`, `name_taken`,
   * `too_many_imports`, `page_server_closed`.
   */
  refuseImport({ name, url }: Pick<ImportRequest, 'name' | 'url'>): void {
    this.#expectOpen();
    checkSourceUrl(url);
    this.catalog.refuseTakenName(name);
    const running = [...this.#imports.values()];
    if (running.some((each) => each.name === name)) {
      throw catalogError('name_taken', `tenant ${name} is being imported already`);
    }
    if (running.length >= this.#settings.importsMax) {
      throw pageServerError('too_many_imports', `${running.length} imports run already`);
    }
  }

  /** Looks whether a source can be imported: see `checkSource`. */
  async checkSource(url: string, signal: AbortSignal): Promise<SourceCheck[]> {
    this.#expectOpen();
    const { import: settings } = this.#settings;
    return await checkSource({ url, directory: this.#dataDir, settings, signal });
  }

  /** See `importTenant` and `refuseImport`. */
  async importTenant(request: Omit<ImportRequest, 'template'>): Promise<ImportedTenant> {
    this.refuseImport(request);
    return await this.#import(request);
  }

  /**
   * Makes the template of new databases of a cluster that nobody writes to, and that may be gone when it resolves. Throws
   * `name_taken` when something has its name, `page_server_closed`, and what an import throws.
   */
  async importTemplate(url: string, signal: AbortSignal): Promise<ImportedTenant> {
    this.#expectOpen();
    return await this.#import({ name: TEMPLATE_NAME, url, signal, template: true });
  }

  async #import(request: ImportRequest): Promise<ImportedTenant> {
    const abort = new AbortController();
    const signals = request.signal === undefined ? [abort.signal] : [abort.signal, request.signal];
    const running = importTenant(this.#importPlace(), { ...request, signal: AbortSignal.any(signals) });
    this.#imports.set(abort, { name: request.name, ended: running });
    try {
      const imported = await running;
      const tenant = this.#openedTenant(imported.store, imported.tenant);
      this.#tenants.set(imported.tenant.id, tenant);
      tenant.attachAll();
      if (this.#closing === undefined) {
        this.#follow(imported.tenant);
      }
      return imported;
    } finally {
      this.#imports.delete(abort);
    }
  }

  /**
   * Deletes a tenant with all its branches. Once its promise resolves nothing is left; when it is cut short, the next
   * start goes on. `endReaders` is called when nothing new can be begun on the tenant and its pages are still there.
   * Answers what is left on the source, which could not be reached. Throws `tenant_not_found`, `tenant_not_active` while
   * it is being imported.
   */
  async deleteTenant(
    name: TenantName,
    endReaders: () => Promise<void> = async () => {},
  ): Promise<LeftOnSource | undefined> {
    this.#expectOpen();
    const { id, state } = this.catalog.tenantNamed(name);
    if (state === 'importing') {
      throw catalogError('tenant_not_active', `tenant ${name} is being imported: cancel that instead`);
    }
    const running = this.#deletions.get(id) ?? this.#delete(id, endReaders);
    this.#deletions.set(id, running);
    try {
      return await running;
    } finally {
      this.#deletions.delete(id);
    }
  }

  /** What was taken back of a tenant's deleted branches since the start. */
  reclaimedOf(id: TenantId): Reclaimed {
    return this.#reclaimer.reclaimed(id);
  }

  async stats(): Promise<PageServerStats> {
    const tenants = new Map<TenantId, TenantStoreStats>();
    for (const id of [...this.#tenants.keys()]) {
      const stats = await this.statsOf(id);
      if (stats !== undefined) {
        tenants.set(id, stats);
      }
    }
    return { catalogBytes: this.catalog.usedBytes(), tenants };
  }

  /** How pages of a tenant were made since it was opened; undefined for one that is not open. */
  readonly pageReadsOf = (id: TenantId): PageReads | undefined => this.#tenants.get(id)?.pageReads();

  /** Undefined for a tenant that is not open. */
  async statsOf(id: TenantId): Promise<TenantStoreStats | undefined> {
    const tenant = this.#tenants.get(id);
    try {
      return await tenant?.stats();
    } catch (thrown) {
      // It may have been closed meanwhile, to be deleted.
      if (this.#tenants.get(id) === tenant) {
        throw thrown;
      }
      return undefined;
    }
  }

  /** Cancels imports, waits for what runs, closes everything. A second call waits for the same end. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const abort of this.#imports.keys()) {
      abort.abort();
    }
    const imports = [...this.#imports.values()].map(({ ended }) => ended);
    await Promise.allSettled([...imports, ...this.#deletions.values()]);
    try {
      // Logs go before the stores that they are indexed into.
      await Promise.all([...this.#receivers.values()].map((receiver) => receiver.stop()));
      await this.#wals.abandonAll();
      await Promise.all([this.#collector.close(), this.#reclaimer.close()]);
      for (const tenant of this.#tenants.values()) {
        await tenant.close();
      }
    } finally {
      this.#tenants.clear();
      await this.catalog.close();
      this.#lock.release();
    }
  }

  async #sweep(): Promise<void> {
    const broken = this.catalog.tenants().filter(({ state }) => state !== 'active');
    await Promise.all(broken.map((tenant) => this.#removeBroken(tenant)));
  }

  async #removeBroken(tenant: TenantRecord): Promise<void> {
    const { id, name, state } = tenant;
    const facts = { tenant: name, tenant_id: id, state };
    try {
      // Without a connection string there was no slot yet, or there is none any more.
      const url = await readSourceUrl(this.#dirOf(id)).catch(() => undefined);
      if (url !== undefined) {
        await this.#leaveSource(tenant, async () => url);
      }
      await this.#removeFiles(id);
      await this.catalog.removeTenant(id);
      this.#log('removed what was left of a tenant', facts);
    } catch (thrown) {
      // The others can be served all the same; the next start tries again.
      this.#log('what was left of a tenant cannot be removed', { ...facts, error: asOffshootError(thrown) });
    }
  }

  async #openTenants(): Promise<void> {
    for (const tenant of this.catalog.tenants().filter(({ state }) => state === 'active')) {
      try {
        this.#tenants.set(tenant.id, await this.#openActive(tenant));
        // What was deleted before, and not yet taken back.
        this.#reclaimer.soon(tenant.id);
      } catch (thrown) {
        const error = asOffshootError(thrown);
        const { id, name } = tenant;
        this.#unavailable.set(id, error);
        this.#log('a tenant cannot be opened', { tenant: name, tenant_id: id, error });
      }
      // Of one that cannot be opened too: somebody has to watch its slot.
      this.#follow(tenant);
    }
  }

  async #openActive(tenant: TenantRecord): Promise<OpenTenant> {
    const store = await TenantStore.open(this.#dirOf(tenant.id), this.#settings.store);
    const open = this.#openedTenant(store, tenant);
    try {
      open.attachAll();
      const root = tenant.source.slot === undefined ? undefined : this.catalog.rootTimeline(tenant)?.id;
      await open.recoverLogs(
        ({ id }) => id === root,
        ({ id }, thrown) => {
          const facts = { tenant: tenant.name, tenant_id: tenant.id, timeline_id: id };
          this.#log('the WAL log of a timeline cannot be indexed', {
            ...facts,
            error: asOffshootError(thrown),
          });
        },
      );
      return open;
    } catch (thrown) {
      await open.close();
      throw thrown;
    }
  }

  #openedTenant(store: TenantStore, tenant: TenantRecord): OpenTenant {
    const { catalog } = this;
    return new OpenTenant(store, tenant, {
      dir: this.#dirOf(tenant.id),
      catalog,
      settings: this.#settings.follow,
    });
  }

  /** The receiver of a tenant that is not open has nothing to write to, and watches the slot all the same. */
  #follow(tenant: TenantRecord): void {
    const receiver = followTenant(tenant, {
      catalog: this.catalog,
      settings: this.#settings.follow,
      dir: this.#dirOf(tenant.id),
      openFollower: async (onProgress) => {
        const root = this.catalog.rootTimeline(tenant) ?? this.#noTimeline(tenant.id, 'of the import');
        return await this.#openTenant(tenant.id).followSource(root, onProgress);
      },
      log: this.#log,
    });
    if (receiver !== undefined) {
      this.#receivers.set(tenant.id, receiver);
    }
  }

  /** Logs what is left there. */
  async #leaveSource(tenant: TenantRecord, url: () => Promise<string>): Promise<LeftOnSource | undefined> {
    const left = await leaveSource(tenant, url, this.#settings.follow);
    if (left !== undefined) {
      const facts = { tenant: tenant.name, tenant_id: tenant.id };
      this.#log('a replication slot is left on the source: drop it there by hand', { ...facts, ...left });
    }
    return left;
  }

  async #delete(id: TenantId, endReaders: () => Promise<void>): Promise<LeftOnSource | undefined> {
    await this.catalog.markTenantDeleting(id);
    await endReaders();
    await this.#wals.abandon(this.catalog.timelines(id).map((timeline) => timeline.id));
    // A slot in use cannot be dropped.
    await this.#receivers.get(id)?.stop();
    this.#receivers.delete(id);
    const left = await this.#leaveSource(this.catalog.tenant(id), () => readSourceUrl(this.#dirOf(id)));
    const open = this.#tenants.get(id);
    this.#tenants.delete(id);
    this.#unavailable.delete(id);
    await Promise.all([this.#collector.leave(id), this.#reclaimer.leave(id)]);
    await open?.close();
    await this.#removeFiles(id);
    await this.catalog.removeTenant(id);
    return left;
  }

  #importPlace(): ImportPlace {
    return {
      catalog: this.catalog,
      settings: this.#settings.import,
      log: this.#log,
      keepUrl: (id, url) => keepSourceUrl(this.#dirOf(id), url),
      leaveSource: (tenant, url) => this.#leaveSource(tenant, async () => url),
      removeFiles: (id) => this.#removeFiles(id),
      openStore: async (id) => {
        await mkdir(this.#dirOf(id), { mode: 0o700 });
        return await TenantStore.open(this.#dirOf(id), this.#settings.store);
      },
    };
  }

  #removeFiles(id: TenantId): Promise<void> {
    return rm(this.#dirOf(id), { recursive: true, force: true });
  }

  #dirOf(id: TenantId): string {
    return join(this.#dataDir, 'tenants', id);
  }

  #openTenant(id: TenantId): OpenTenant {
    const open = this.#tenants.get(id);
    if (open !== undefined) {
      return open;
    }
    this.#expectOpen();
    const reason = this.#unavailable.get(id);
    const { name, state } = this.catalog.tenant(id);
    if (reason !== undefined) {
      throw pageServerError('tenant_unavailable', `tenant ${name} could not be opened: ${reason.message}`, {
        cause: reason,
      });
    }
    throw catalogError('tenant_not_active', `tenant ${name} is ${state}`);
  }

  #noTimeline(tenant: TenantId, timeline: string): never {
    throw catalogError('timeline_not_found', `timeline ${timeline} of tenant ${tenant} does not exist`);
  }

  #expectOpen(): void {
    if (this.#closing !== undefined) {
      throw pageServerError('page_server_closed', 'the page server is stopping');
    }
  }
}

/** Throws `branch_point_out_of_range` for what the timeline has not come to, and for what is not kept of it. */
function pinPoint({ name }: Pick<BranchRecord, 'name'>, timeline: OpenTimeline, lsn: Lsn): Disposable {
  const newest = timeline.lastRecordLsn();
  if (lsn > newest) {
    throw catalogError(
      'branch_point_out_of_range',
      `branch ${name} has come to ${formatLsn(newest)}, not to ${formatLsn(lsn)}`,
    );
  }
  if (timeline.covers(lsn)) return timeline.pin(lsn);
  throw catalogError(
    'branch_point_out_of_range',
    `branch ${name} can be read from ${formatLsn(timeline.readableFrom)} to ${formatLsn(newest)}, ` +
      `not at ${formatLsn(lsn)}`,
  );
}
