/**
 * The way of a connection: reading the start-up packet, TLS included; waiting for the branch; connecting to its
 * compute; the start-up exchange, the client's own pauses included; handing over what is left of it.
 */
export const connectPhases = ['parse', 'park', 'connect', 'startup', 'hand_over'] as const;
export type ConnectPhase = (typeof connectPhases)[number];

/** How long each phase took, in milliseconds. */
export type ConnectTimings = Readonly<Record<ConnectPhase, number>>;

/** How a connection that was handed over has ended. */
export interface ConnectionEnd {
  /** Who ended it first. */
  readonly by: 'client' | 'compute' | 'gateway';
  /** Whether that was an orderly end or a broken connection. */
  readonly how: 'ended' | 'broken';
  /** From accept on. */
  readonly durationMs: number;
  readonly bytesFromClient: number;
  readonly bytesToClient: number;
}

/** Told of what happens to connections; every word of it comes from a small, fixed set. Must not throw. */
export interface GatewayObserver {
  /** Client and compute are connected to each other. */
  handedOver(timings: ConnectTimings): void;
  /** A client was told an error before that; `compute` when it was the compute's own, as for a wrong password. */
  refused(phase: ConnectPhase, sqlState: string): void;
  /** A client left before that. */
  left(phase: ConnectPhase): void;
  ended(end: ConnectionEnd): void;
}
