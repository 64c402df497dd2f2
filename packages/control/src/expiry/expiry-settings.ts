/** How long branches live of which nothing is said, and when those whose time is over are looked for. */
export interface ExpirySettings {
  /** Of branches that somebody makes and says nothing of it; 0: they do not expire. Ten years at most. */
  readonly defaultTtlSeconds: number;
  /** Without anybody for so long a branch is shown as abandoned; nothing is done about it. */
  readonly abandonedAfterSeconds: number;
  /** Longest time between two looks while there is a branch that expires: the clock may be set. */
  readonly checkMs: number;
}

/**
 * A week, as history is kept by default: until then a forgotten branch keeps hardly anything that would not be there anyway,
 * and nobody's work is gone after a weekend.
 */
export const expiryDefaults: ExpirySettings = {
  defaultTtlSeconds: 604_800,
  abandonedAfterSeconds: 86_400,
  checkMs: 10_000,
};
