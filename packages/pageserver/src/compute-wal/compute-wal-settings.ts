/** How WAL of computes is received. */
export interface ComputeWalSettings {
  /** From the end of a receiver to the next one's start, at first; it doubles with each that fails. */
  readonly retryMsMin: number;
  readonly retryMsMax: number;
  /** So long a compute's commits wait for a receiver; then it is given up. */
  readonly receiverGoneMsMax: number;
  /** How often a compute that writes nothing hears of us. */
  readonly statusIntervalMs: number;
}

export const computeWalDefaults: ComputeWalSettings = {
  retryMsMin: 50,
  retryMsMax: 2_000,
  receiverGoneMsMax: 60_000,
  statusIntervalMs: 1_000,
};
