import type { ConnectAs } from '@offshoot/compute';

import type { BranchRecord, LoginCandidates, PageServer } from '@offshoot/pageserver';
import type { Lsn } from '@offshoot/types';
import type { ControlPlaneOptions } from './control-options.js';

/** Who was at the import, and what is there in nearly every cluster. */
interface Known {
  readonly defaultUser: string;
  readonly defaultDatabase: string;
}

/** Pairs that are tried: each that is refused takes a few milliseconds. */
const PAIRS_MAX = 64;

/**
 * Whom to ask a compute's first query as, and where, the likeliest first. Any role or database may have been renamed,
 * dropped or locked, by whoever works on the branch or on production: those that the pages name go first, what was there at
 * the import before others, then what may be there all the same.
 */
export function connectCandidates(
  { defaultUser, defaultDatabase }: Known,
  { users, databases }: LoginCandidates,
): ConnectAs[] {
  const asked = preferred([...new Set([...users, defaultUser, 'postgres'])], users, [defaultUser]);
  const usual = [defaultDatabase, 'postgres', 'template1'];
  const where = preferred([...new Set([...usual, ...databases])], databases, usual);
  return asked.flatMap((user) => where.map((database) => ({ user, database }))).slice(0, PAIRS_MAX);
}

/** First those of `favourites` that are known to be there, then what else is, then the rest. */
function preferred(
  all: readonly string[],
  there: readonly string[],
  favourites: readonly string[],
): readonly string[] {
  const first = favourites.filter((name) => there.includes(name));
  return [...new Set([...first, ...there, ...all])];
}

/** Whom the computes of branches are asked as. */
export class ConnectCandidates {
  constructor(
    private readonly pageServer: PageServer,
    private readonly onTrouble: NonNullable<ControlPlaneOptions['onTrouble']> = () => {},
  ) {}

  /** As the branch is at an LSN. */
  async at(branch: BranchRecord, lsn: Lsn): Promise<ConnectAs[]> {
    const tenant = this.pageServer.catalog.tenant(branch.tenant);
    return connectCandidates(tenant, await this.#loginCandidates(branch, lsn));
  }

  /** With what its compute has committed by now. */
  async now(branch: BranchRecord, signal: AbortSignal): Promise<ConnectAs[]> {
    await this.pageServer.settleBranch(branch, undefined, signal);
    const lsn = this.pageServer.timelineOf(branch.tenant, branch.timeline).lastRecordLsn();
    return await this.at(branch, lsn);
  }

  /** None where its pages cannot tell: then whoever is tried next says what is wrong with it. */
  async #loginCandidates(branch: BranchRecord, lsn: Lsn): Promise<LoginCandidates> {
    try {
      return await this.pageServer.timelineOf(branch.tenant, branch.timeline).loginCandidates(lsn);
    } catch (error) {
      const message = 'which roles a branch has could not be read: its compute is asked as the usual ones';
      this.onTrouble(message, { branch: branch.name, error });
      return { users: [], databases: [] };
    }
  }
}
