import type { Lsn, OffshootError } from '@offshoot/types';

/**
 * What a commit on a compute waits for. `sync`: that the page server has its WAL on disk. `async`: only that it is
 * written on the compute's own disk, which is lost with the compute.
 */
export type Durability = 'sync' | 'async';

/** A Postgres on this machine whose WAL is to be received. */
export interface WalSource {
  /** The Unix socket itself: `…/.s.PGSQL.PORT`. */
  readonly socketPath: string;
  /** A role that may do replication. */
  readonly user: string;
  readonly applicationName: string;
  readonly slot: string;
}

/** Takes in one compute's WAL. Used once, in the order of its methods. */
export interface ComputeWal {
  /** Settles, never rejects, when no more WAL can be taken in, with the reason. */
  readonly failed: Promise<OffshootError>;
  /** Before Postgres starts, whose first record is at `walStart`. */
  open(walStart: Lsn): Promise<void>;
  /** Resolves when WAL streams in. A connection that breaks is made anew until `finish`; meanwhile commits wait. */
  receive(source: WalSource): Promise<void>;
  /** Postgres has ended. Resolves when all that was received can be read; what cannot is the reason of the rejection. */
  finish(): Promise<void>;
}
