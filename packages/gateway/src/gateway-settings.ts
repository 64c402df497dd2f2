/** Limits of the gateway, each with its default in `gatewayDefaults`. */
export interface GatewaySettings {
  /** Clients' connections at one time. */
  readonly connectionsMax: number;
  /** The same for one branch. Its Postgres has a `max_connections` of its own. */
  readonly connectionsPerBranchMax: number;
  /** Connections to one branch that its compute begins to answer at one time; for each it starts a process. */
  readonly startupsPerBranchMax: number;
  /** Connections beyond `connectionsMax` that are told so, or may still cancel, at one time; more are just closed. */
  readonly connectionsRefusedMax: number;
  /** Connections that wait for their branch at one time. */
  readonly parkedMax: number;
  /** How long a connection waits for its branch. More than a compute's start may take, whose own words say more. */
  readonly parkTimeoutMs: number;
  /** Branches that one peer may wake in `strangerWindowMs` without a login that succeeds. */
  readonly strangerWakesMax: number;
  /** The same for peers on this machine, which are many behind one address; 0: any number. */
  readonly strangerLoopbackWakesMax: number;
  readonly strangerWindowMs: number;
  /** Peers of which that is remembered at one time. */
  readonly strangersMax: number;
  /** Bytes of a start-up packet, and what a client may send ahead of the answer to it. */
  readonly handshakeBytesMax: number;
  /** From accept to the last byte of the start-up packet, TLS included, however lively the client is. */
  readonly handshakeTimeoutMs: number;
  /** Of that, what a client has when all places are taken and others want in. */
  readonly handshakeGraceMs: number;
  /** Connecting to a compute. */
  readonly connectTimeoutMs: number;
  /** Between two attempts at a compute whose queue of new connections is full. */
  readonly connectPauseMs: number;
  /** How often a branch is opened again for a connection whose compute has ended, or takes none now (57P03). */
  readonly reopensMax: number;
  /** The pause before that. */
  readonly reopenPauseMs: number;
  /** What a compute may take in all from the start-up packet to ReadyForQuery, the client's pauses not counted. */
  readonly startupTimeoutMs: number;
  /** What a client may take in all for its part of the authentication. */
  readonly authenticationTimeoutMs: number;
  /** Native threads that pass the bytes of connections without TLS, on Linux. 0: the event loop does, as for all others. */
  readonly spliceThreads: number;
  /** Bytes that such a thread reads from one socket, at most, before it turns to others. */
  readonly spliceTurnBytes: number;
  /** Bytes read ahead on a socket, and bytes waiting to be written on one, before its peer is held back. */
  readonly socketBufferBytes: number;
  /** Silence on a client's connection before the kernel asks whether it is still there. */
  readonly keepAliveIdleMs: number;
  /** How long a client has to take its last bytes. */
  readonly closeLingerMs: number;
  /** One kind of failure is reported once in that time. */
  readonly alertIntervalMs: number;
}

export const gatewayDefaults: GatewaySettings = {
  connectionsMax: 2000,
  connectionsPerBranchMax: 500,
  startupsPerBranchMax: 4,
  connectionsRefusedMax: 64,
  parkedMax: 1000,
  parkTimeoutMs: 75_000,
  strangerWakesMax: 100,
  strangerLoopbackWakesMax: 0,
  strangerWindowMs: 600_000,
  strangersMax: 10_000,
  handshakeBytesMax: 10_000,
  handshakeTimeoutMs: 30_000,
  handshakeGraceMs: 1000,
  connectTimeoutMs: 5000,
  connectPauseMs: 10,
  reopensMax: 100,
  reopenPauseMs: 100,
  startupTimeoutMs: 30_000,
  authenticationTimeoutMs: 60_000,
  spliceThreads: 1,
  spliceTurnBytes: 256 * 1024,
  socketBufferBytes: 64 * 1024,
  keepAliveIdleMs: 60_000,
  closeLingerMs: 2000,
  alertIntervalMs: 60_000,
};
