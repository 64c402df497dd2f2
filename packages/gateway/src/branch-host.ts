/** Where a compute takes clients' connections, with Postgres' own authentication. */
export type ComputeAddress =
  | { readonly host: string; readonly port: number }
  /** A Unix socket. */
  | { readonly path: string };

/** Who runs the branches: what the front door needs of it. */
export interface BranchHost {
  /**
   * Resolves once the branch's compute takes connections; wakes it when it sleeps, one wake however many wait. Rejects
   * with an OffshootError. Aborting `signal` ends this wait and not the wake, for which others may wait too. `database`
   * is the one that the client will ask for, where it has named one.
   */
  open(branch: string, options: OpenOptions): Promise<OpenBranch>;
}

export interface OpenOptions {
  readonly signal: AbortSignal;
  readonly database?: string | undefined;
  /** Called before the branch is woken, or waited for while it wakes; what it throws refuses that. */
  readonly beforeWake?: (() => void) | undefined;
}

/** A branch that is kept awake for one connection. */
export interface OpenBranch {
  readonly address: ComputeAddress;
  /** The connection ended; called exactly once. */
  release(): void;
}
