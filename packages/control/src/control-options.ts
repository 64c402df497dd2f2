import type { ComputeDriver, ComputeEnd, TemplateSource } from '@offshoot/compute';
import type { PgRestore } from '@offshoot/dump';
import type { PageServer } from '@offshoot/pageserver';
import type { AccessSettings } from './access/access-settings.js';
import type { DaemonFacts } from './daemon-facts.js';
import type { DatabaseSettings } from './databases/database-settings.js';
import type { EventLog } from './events/event-log.js';
import type { ExpirySettings } from './expiry/expiry-settings.js';
import type { QuotaSettings } from './quota/write-quotas.js';
import type { Clock } from './sleep/clock.js';
import type { WakeSettings } from './sleep/wake-settings.js';

export interface ControlPlaneOptions {
  pageServer: PageServer;
  driver: ComputeDriver;
  facts: DaemonFacts;
  /** Ended operations that stay readable. */
  operationsEndedMax: number;
  /** Computes that are awake at one time; no more than the driver takes. */
  computesMax: number;
  /** Where the template of new databases comes from; undefined: there are none. */
  template?: TemplateSource | undefined;
  /** What reads dumps in pg_dump's own formats; undefined: nothing does. */
  pgRestore?: PgRestore | undefined;
  database?: Partial<DatabaseSettings> | undefined;
  wake?: Partial<WakeSettings> | undefined;
  quota?: Partial<QuotaSettings> | undefined;
  access?: Partial<AccessSettings> | undefined;
  expiry?: Partial<ExpirySettings> | undefined;
  /** Where what becomes of branches is written down; undefined: nowhere. The caller closes it. */
  events?: EventLog | undefined;
  clock?: Clock | undefined;
  onComputeCrash(branch: string, end: ComputeEnd): void;
  /** Something that nobody waits for has failed. */
  onTrouble?: ((message: string, facts: { branch: string; error: unknown }) => void) | undefined;
}
