/** Limits of the page service, each with its default in `pageServiceDefaults`. */
export interface PageServiceSettings {
  /** Connections served at one time. Each Postgres process of a compute that reads pages has its own. */
  readonly connectionsMax: number;
  /** Connections beyond those that are told so politely at one time; more are just closed. */
  readonly connectionsRefusedMax: number;
  /** From accept to ReadyForQuery, TLS included. */
  readonly handshakeTimeoutMs: number;
  /** A connection is closed when nothing was read from it nor written to it for so long. */
  readonly idleTimeoutMs: number;
  /** How long a request or a backup waits for its LSN. Neon's compute gives up after 150 s without an answer. */
  readonly lsnWaitTimeoutMs: number;
  /** Bound of a message's length field. */
  readonly frameBytesMax: number;
  /** Bytes read and not yet looked at, per connection; beyond them the socket is not read. Exceeds a frame. */
  readonly inputBytesMax: number;
  /** Page requests in one call of the engine. */
  readonly requestsPerCallMax: number;
  /** Reply bytes that one call of the engine may answer with; a single larger reply is allowed. */
  readonly replyBytesPerCallMax: number;
  /** Bytes being made or waiting to be written, per connection. */
  readonly inFlightBytesPerConnectionMax: number;
  /** The same of all connections together. Past it, each connection gets one request or chunk at a time. */
  readonly inFlightBytesTotalMax: number;
  /** Body of one CopyData message that the service cuts itself. */
  readonly copyDataBytesMax: number;
  /** How long a client has to take the last bytes after the service has ended the connection. */
  readonly closeLingerMs: number;
  /** How long a lease lasts. */
  readonly leaseMs: number;
  /** Leases held at one time. */
  readonly leasesMax: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;

export const pageServiceDefaults: PageServiceSettings = {
  connectionsMax: 2000,
  connectionsRefusedMax: 64,
  handshakeTimeoutMs: 30_000,
  idleTimeoutMs: 600_000,
  lsnWaitTimeoutMs: 60_000,
  frameBytesMax: 64 * KIB,
  inputBytesMax: 256 * KIB,
  requestsPerCallMax: 128,
  replyBytesPerCallMax: 512 * KIB,
  inFlightBytesPerConnectionMax: 2 * MIB,
  inFlightBytesTotalMax: 256 * MIB,
  copyDataBytesMax: 128 * KIB,
  closeLingerMs: 2000,
  leaseMs: 600_000,
  leasesMax: 100_000,
};
