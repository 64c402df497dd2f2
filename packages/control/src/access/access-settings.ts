/** Limits of the management API. */
export interface AccessSettings {
  /** Tokens besides the data directory's own. */
  readonly tokensMax: number;
  /** When a token was last shown is written down no more often than this. */
  readonly tokenUseWriteMs: number;
  /** For so long a call with the same `Idempotency-Key` is answered as the first. */
  readonly idempotencyKeyMs: number;
  /** So many keys are known, of all tokens together; the oldest are forgotten first. */
  readonly idempotencyKeysMax: number;
  /** Longest request body. */
  readonly bodyBytesMax: number;
  /** From a request's first byte to its last. */
  readonly requestTimeoutMs: number;
  /** Connections at one time; more are closed unheard. */
  readonly connectionsMax: number;
  /** Of each token, over some seconds; 0: any number. The data directory's own is not counted. */
  readonly requestsPerSecondMax: number;
  /** Of each address: requests with a token that is none; 0: any number. */
  readonly refusalsPerMinuteMax: number;
}

export const accessDefaults: AccessSettings = {
  tokensMax: 1000,
  tokenUseWriteMs: 60_000,
  idempotencyKeyMs: 86_400_000,
  idempotencyKeysMax: 100_000,
  bodyBytesMax: 64 * 1024,
  requestTimeoutMs: 30_000,
  connectionsMax: 1000,
  requestsPerSecondMax: 500,
  refusalsPerMinuteMax: 600,
};
