import type { TenantId } from '@offshoot/types';
import type { Catalog } from '../catalog/catalog.js';
import type { OpenTenant } from '../open-tenant.js';
import { Pace } from './pace.js';
import type { RetentionSettings } from './retention-settings.js';
import { TenantTurns } from './tenant-turns.js';

/** What has been taken back since the start of the process. */
export interface Reclaimed {
  readonly timelines: number;
  readonly entries: number;
  /** Keys and values. */
  readonly bytes: number;
  /** Of which something is stored yet, as far as is known. */
  readonly timelinesPending: number;
}

const NOTHING: Reclaimed = { timelines: 0, entries: 0, bytes: 0, timelinesPending: 0 };

export interface ReclaimerPlace {
  readonly settings: RetentionSettings;
  readonly catalog: Pick<Catalog, 'timelines' | 'findTimeline' | 'refresh'>;
  /** Undefined: it is not open. */
  readonly open: (tenant: TenantId) => OpenTenant | undefined;
  readonly onFailure: (tenant: TenantId, error: unknown) => void;
}

/**
 * Takes back what timelines that are gone have in their tenant's store, in small transactions. Which these are is nowhere
 * written down: what the store has and the catalog does not know. So nothing can be forgotten, whatever cuts it short.
 */
export class Reclaimer {
  readonly #turns: TenantTurns;
  readonly #reclaimed = new Map<TenantId, Reclaimed>();

  constructor(private readonly place: ReclaimerPlace) {
    this.#turns = new TenantTurns((tenant, signal) => this.#reclaim(tenant, signal));
  }

  /** Since the start of the process. */
  reclaimed(tenant: TenantId): Reclaimed {
    return this.#reclaimed.get(tenant) ?? NOTHING;
  }

  /** A timeline of the tenant is gone, or may be. */
  soon(tenant: TenantId): void {
    this.run(tenant).catch((error: unknown) => this.place.onFailure(tenant, error));
  }

  /** Resolves when nothing is left of the timelines that are gone by now. */
  run(tenant: TenantId): Promise<void> {
    return this.#turns.run(tenant);
  }

  /** Nothing is done to the tenant any more once this resolves. */
  async leave(tenant: TenantId): Promise<void> {
    await this.#turns.leave(tenant);
    this.#reclaimed.delete(tenant);
  }

  close(): Promise<void> {
    return this.#turns.close();
  }

  async #reclaim(id: TenantId, signal: AbortSignal): Promise<void> {
    const tenant = this.place.open(id);
    if (tenant === undefined) return;
    const pace = new Pace(this.place.settings.busyPercentMax, signal);
    const gone = await this.#gone(id, tenant);
    this.#reclaimed.set(id, { ...this.reclaimed(id), timelinesPending: gone.length });
    for (const index of gone) {
      let done = false;
      while (!done) {
        const { portionEntriesMax: entriesMax, portionBytesMax: bytesMax } = this.place.settings;
        const portion = await pace.portion(() => tenant.reclaim(index, { entriesMax, bytesMax }));
        done = portion.done;
        const before = this.reclaimed(id);
        this.#reclaimed.set(id, {
          timelines: before.timelines + (done ? 1 : 0),
          entries: before.entries + portion.entries,
          bytes: before.bytes + portion.bytes,
          timelinesPending: before.timelinesPending - (done ? 1 : 0),
        });
      }
    }
  }

  /** The store is asked first: what it has then and the catalog does not know is gone and not yet to come. */
  async #gone(id: TenantId, tenant: OpenTenant): Promise<number[]> {
    const stored = (await tenant.storedTimelines()).filter((index) => !tenant.isAttached(index));
    const { catalog } = this.place;
    // The catalog as of now, and not of an earlier moment.
    catalog.refresh();
    const gone = stored.filter((index) => {
      const left = tenant.detachedAs(index);
      return left !== undefined && catalog.findTimeline(left) === undefined;
    });
    if (gone.length === stored.length) return gone;
    // What was gone before the tenant was opened: all that the catalog knows are looked at, once.
    const known = new Set(catalog.timelines(id).map(({ index }) => index));
    return stored.filter((index) => !known.has(index));
  }
}
