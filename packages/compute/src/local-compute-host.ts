import type { PageServiceAddress } from './base-backup.js';
import type { ComputePlaces } from './compute-paths.js';
import type { ComputeSettings } from './compute-settings.js';
import type { FreePorts } from './free-ports.js';
import type { LocalComputeLimits } from './local-compute-limits.js';
import type { OsUser } from './os-user.js';
import type { PostgresInstallation } from './postgres-installation.js';

/** What all computes of one driver share. */
export interface LocalComputeHost {
  readonly places: ComputePlaces;
  readonly installation: PostgresInstallation;
  readonly osUser: OsUser;
  readonly pageService: PageServiceAddress;
  readonly pageToken: string | undefined;
  readonly preloadLibrary: string;
  readonly settings: ComputeSettings;
  readonly limits: LocalComputeLimits;
  readonly ports: FreePorts;
}
