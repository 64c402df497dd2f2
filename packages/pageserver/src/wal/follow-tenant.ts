import type { FollowProgress, WalFollower } from '@offshoot/engine';
import { OffshootError } from '@offshoot/types';
import type { Catalog } from '../catalog/catalog.js';
import type { TenantRecord } from '../catalog/records.js';
import type { FollowSettings } from './follow-settings.js';
import { ProductionReceiver } from './production-receiver.js';
import { readSourceUrl } from './source-url-file.js';

/** What a tenant's receiver needs of the page server. */
export interface FollowPlace {
  readonly catalog: Catalog;
  readonly settings: FollowSettings;
  /** The tenant's directory. */
  readonly dir: string;
  /** Lets the tenant's first timeline grow. */
  openFollower(onProgress: (progress: FollowProgress) => void): Promise<WalFollower>;
  log(message: string, facts: Readonly<Record<string, unknown>>): void;
}

/**
 * Begins to follow a tenant's source, or goes on where a former daemon left off. Undefined for a tenant that was imported
 * when nothing was followed: its source has no slot.
 */
export function followTenant(tenant: TenantRecord, place: FollowPlace): ProductionReceiver | undefined {
  const { id, name, source, tli, needsReimport } = tenant;
  if (source.slot === undefined || tli === undefined) {
    return undefined;
  }
  const log: FollowPlace['log'] = (message, facts) =>
    place.log(message, { tenant: name, tenant_id: id, ...facts });
  const receiver = new ProductionReceiver({
    settings: place.settings,
    slot: { name: source.slot, systemIdentifier: source.systemIdentifier, tli },
    url: () => readSourceUrl(place.dir),
    openFollower: (onProgress) => place.openFollower(onProgress),
    onNeedsReimport: async (reason) => {
      const isNews = place.catalog.tenant(id).needsReimport === undefined;
      await place.catalog.markNeedsReimport(id, reason);
      if (isNews) {
        const error = new OffshootError(reason.code, reason.message);
        log('a tenant needs to be imported again: its source is not followed any more', { error });
      }
    },
    onSlotDropped: async () => {
      await place.catalog.markSlotDropped(id);
      log('the replication slot is dropped', { slot: source.slot });
    },
    log,
  });
  if (needsReimport === undefined) {
    receiver.start();
  } else {
    receiver.startGivenUp(needsReimport, needsReimport.slot);
  }
  return receiver;
}
