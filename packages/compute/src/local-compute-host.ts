import type { PageServiceAddress } from './base-backup.js';
import type { ComputePlaces } from './compute-paths.js';
import type { ComputeSettings } from './compute-settings.js';
import type { FreePorts } from './free-ports.js';
import type { ComputeSize } from './isolation/compute-size.js';
import type { Governor } from './isolation/governor.js';
import type { Isolation } from './isolation/isolation.js';
import type { TroubleListener } from './isolation/trouble.js';
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
  /** What was chosen for all computes; the rest follows from their size, or is the default. */
  readonly settings: Partial<ComputeSettings>;
  /** Of computes that are not given another. */
  readonly size: ComputeSize;
  readonly isolation: Isolation;
  readonly governor: Governor;
  readonly limits: LocalComputeLimits;
  readonly ports: FreePorts;
  readonly onTrouble: TroubleListener | undefined;
}
