import type { Status } from '@offshoot/client';

/** What the daemon tells of itself. */
export interface DaemonFacts {
  version: string;
  pid: number;
  dataDirectory: string;
  startedAt: Date;
  pageService(): Status['page_service'];
  /** Undefined: there is none. */
  gateway?(): Status['gateway'];
}
