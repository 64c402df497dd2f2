/** Told of what happens to branches that are opened. Must not throw. */
export interface WakeObserver {
  /** For a connection: the compute was there, or was woken for whoever came first. */
  opened(how: 'already_up' | 'cold', ms: number): void;
  /** By phase, and `total`. */
  woken(phasesMs: Readonly<Record<string, number>>): void;
}
