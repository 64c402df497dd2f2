import type { TenantStoreSettings } from '@offshoot/engine';
import { type ComputeWalSettings, computeWalDefaults } from './compute-wal/compute-wal-settings.js';
import { type ImportSettings, importDefaults } from './import/import-settings.js';
import { type RetentionSettings, retentionDefaults } from './retention/retention-settings.js';
import { type FollowSettings, followDefaults } from './wal/follow-settings.js';

/** Settings of the storage node. */
export interface PageServerSettings {
  readonly store: TenantStoreSettings;
  readonly import: ImportSettings;
  readonly computeWal: ComputeWalSettings;
  readonly follow: FollowSettings;
  readonly retention: RetentionSettings;
  /** Imports at one time. */
  readonly importsMax: number;
}

export const pageServerDefaults: PageServerSettings = {
  store: {
    mapSizeInitialBytes: 256 * 1024 * 1024,
    readersMax: 512,
    pageCacheBytes: 64 * 1024 * 1024,
    keyFilterBytes: 64 * 1024 * 1024,
  },
  import: importDefaults,
  computeWal: computeWalDefaults,
  follow: followDefaults,
  retention: retentionDefaults,
  importsMax: 4,
};
