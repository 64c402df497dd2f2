/** Limits of following a production's WAL. */
export interface FollowSettings {
  /** For connecting and logging in, and for one question by SQL. */
  readonly connectTimeoutMs: number;
  /** The source may say nothing for so long; after half of it, it is asked for a word. */
  readonly silenceMsMax: number;
  /** The longest message of the source, but for WAL. */
  readonly frameBytesMax: number;
  /** The longest message with WAL; Postgres sends up to 128 KiB. */
  readonly messageBytesMax: number;
  /** WAL received and not yet taken by the engine; past it the source is held back. */
  readonly inFlightBytesMax: number;
  /** WAL that waits in the engine's memory to be indexed; past it none is taken until half of it is. */
  readonly waitingBytesMax: number;
  /** How often the source hears how far we are when there is no WAL. */
  readonly statusIntervalMs: number;
  /** Before a second attempt; doubles with each that fails. */
  readonly retryPauseMsMin: number;
  readonly retryPauseMsMax: number;
  /** Indexed WAL that nobody waits for is committed after so long. */
  readonly indexIntervalMs: number;
  /** Default of how long a branch may wait until what production has by then is here. */
  readonly catchUpTimeoutMs: number;
  /** How often the slot is looked at. */
  readonly slotCheckIntervalMs: number;
  /** WAL that the source may keep for us; past it the slot is dropped, and the tenant has to be imported again. */
  readonly slotRetainedBytesMax: number;
  /** For dropping a slot when its tenant is deleted or its import has failed. */
  readonly slotDropTimeoutMs: number;
}

export const followDefaults: FollowSettings = {
  connectTimeoutMs: 10_000,
  silenceMsMax: 60_000,
  frameBytesMax: 1024 * 1024,
  messageBytesMax: 1024 * 1024,
  inFlightBytesMax: 8 * 1024 * 1024,
  waitingBytesMax: 16 * 1024 * 1024,
  statusIntervalMs: 10_000,
  retryPauseMsMin: 500,
  retryPauseMsMax: 30_000,
  indexIntervalMs: 500,
  catchUpTimeoutMs: 30_000,
  slotCheckIntervalMs: 30_000,
  slotRetainedBytesMax: 10 * 1024 ** 3,
  slotDropTimeoutMs: 5000,
};
