/** What a gateway has to know of branches. */
export interface BranchHost {
  /**
   * Resolves once the branch's compute takes connections; wakes it when it sleeps, one wake however many wait. Rejects
   * with an OffshootError: `branch_not_found`, `branch_without_compute`, `wake_failed`, `computes_exhausted`,
   * `shutting_down`, and `open_abandoned` when the signal aborts.
   */
  open(branch: string, options: { signal: AbortSignal }): Promise<OpenBranch>;
}

/** A branch that stays awake until it is released. */
export interface OpenBranch {
  readonly address: { readonly host: string; readonly port: number } | { readonly path: string };
  /** The connection ended; must be called exactly once. */
  release(): void;
}
