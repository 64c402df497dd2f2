import type { TenantStore, TenantStoreStats, WalFollower } from '@offshoot/engine';
import type { Lsn, TimelineId } from '@offshoot/types';
import type { Catalog } from './catalog/catalog.js';
import type { TenantRecord, TimelineRecord } from './catalog/records.js';
import { OpenTimeline } from './open-timeline.js';

/** A timeline's WAL log to be opened; `walStart` when a compute begins a new WAL. */
export interface WalLog {
  readonly dir: string;
  readonly indexIntervalMs: number;
  readonly walStart?: Lsn | undefined;
}

/** A tenant whose store is open, with all its timelines. */
export class OpenTenant {
  readonly #store: TenantStore;
  readonly #tenant: TenantRecord;
  readonly #catalog: Catalog;
  readonly #timelines = new Map<TimelineId, OpenTimeline>();

  constructor(store: TenantStore, tenant: TenantRecord, catalog: Catalog) {
    this.#store = store;
    this.#tenant = tenant;
    this.#catalog = catalog;
  }

  /** Attaches what the catalog lists; parents come before their children there. */
  attachAll(): void {
    for (const timeline of this.#catalog.timelines(this.#tenant.id)) {
      this.attach(timeline);
    }
  }

  /** Tells the engine of a timeline. One that it knows already is no error. */
  attach(timeline: TimelineRecord): OpenTimeline {
    const { id, index, parent, lastRecordLsn, readableFrom } = timeline;
    const ancestry = parent && {
      index: this.#catalog.timeline(parent.timeline).index,
      ancestorLsn: parent.ancestorLsn,
    };
    this.#store.attach({ index, parent: ancestry, lastRecordLsn, readableFrom });
    const open = new OpenTimeline(this.#store, this.#tenant, timeline);
    this.#timelines.set(id, open);
    return open;
  }

  detach({ id, index }: TimelineRecord): void {
    this.#timelines.delete(id);
    this.#store.detach(index);
  }

  find(timeline: TimelineId): OpenTimeline | undefined {
    return this.#timelines.get(timeline);
  }

  /** Opens the WAL log of one of its timelines; what is taken in from it is seen by readers. */
  followWal({ id, index }: TimelineRecord, log: WalLog): Promise<WalFollower> {
    const { tli = 1, walSegmentBytes, pgMajor, source } = this.#tenant;
    return this.#store.followWal(
      {
        index,
        ...log,
        tli,
        segmentBytes: walSegmentBytes,
        major: pgMajor,
        systemIdentifier: BigInt(source.systemIdentifier),
      },
      ({ indexed }) => this.#timelines.get(id)?.advance(indexed),
    );
  }

  stats(): Promise<TenantStoreStats> {
    return this.#store.stats();
  }

  /** A second call does nothing. */
  close(): Promise<void> {
    this.#timelines.clear();
    return this.#store.close();
  }
}
