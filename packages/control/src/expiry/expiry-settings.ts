/** When branches whose time is over are looked for. */
export interface ExpirySettings {
  /** Longest time between two looks while there is a branch that expires: the clock may be set. */
  readonly checkMs: number;
}

export const expiryDefaults: ExpirySettings = { checkMs: 10_000 };
