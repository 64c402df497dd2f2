import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { computeError } from './compute-errors.js';
import type { ComputeWal, Durability } from './compute-wal.js';
import { WAL_RECEIVER_NAME } from './configuration.js';
import type { SocketAddress } from './own-session.js';
import { socketPath } from './socket-directory.js';

export interface ReceivingOptions {
  readonly wal: ComputeWal;
  readonly durability: Durability;
  readonly address: SocketAddress;
  /** The role that most likely may do replication. */
  readonly user: string;
}

/** How often Postgres is asked whether commits wait by now: it is so within a few milliseconds. */
const LOOK_MS = 2;

/** Superusers first: no limit of connections keeps them out. */
const ROLES = `SELECT rolname FROM pg_catalog.pg_roles WHERE rolcanlogin AND (rolsuper OR rolreplication)
  ORDER BY rolsuper DESC, rolname = current_user DESC, oid LIMIT 1`;

/** Asked without a view, a condition or a join: what those need would be read from the page server first. */
const SENDERS = 'SELECT pid, state, sync_state FROM pg_catalog.pg_stat_get_wal_senders()';

/** Which of several is our receiver's, whatever others call themselves. */
const OURS = 'SELECT active_pid FROM pg_catalog.pg_replication_slots WHERE slot_name = $1';

/** Nulls are what a role sees that may not read statistics; then the connection, which is there, has to do. */
interface Sender {
  readonly pid: number;
  readonly state: string | null;
  readonly sync_state: string | null;
}

/** Has a compute's WAL received, from the moment on when it takes connections. */
export class WalReceiving {
  #first: Promise<void> = Promise.resolve();

  constructor(private readonly options: ReceivingOptions) {}

  begin(): void {
    this.#first = this.#receiveAs(this.options.user);
    // It is waited for later, if there is a later.
    this.#first.catch(() => undefined);
  }

  /**
   * Resolves when WAL streams and, for `sync`, Postgres makes commits wait for that. Throws
   * `compute_without_replication_role`, what the connection was refused with, and why WAL cannot be taken in.
   */
  async finish(client: pg.Client, signal: AbortSignal): Promise<void> {
    const { wal } = this.options;
    const failure = await Promise.race([wal.failed, this.#streams(client, signal)]);
    if (failure !== undefined) {
      throw failure;
    }
  }

  async #streams(client: pg.Client, signal: AbortSignal): Promise<undefined> {
    try {
      await this.#first;
    } catch {
      signal.throwIfAborted();
      await this.#receiveAs(await replicationRole(client));
    }
    while (!(await this.#isSending(client))) {
      await sleep(LOOK_MS, undefined, { signal });
    }
    return undefined;
  }

  async #isSending(client: pg.Client): Promise<boolean> {
    const { rows } = await client.query<Sender>(SENDERS);
    // The only one there is ours: it has begun to receive.
    const sender = rows.length > 1 ? await ours(client, rows) : rows[0];
    if (sender === undefined) return false;
    const { state, sync_state } = sender;
    return (
      state === null ||
      (state === 'streaming' && (this.options.durability === 'async' || sync_state === 'sync'))
    );
  }

  #receiveAs(user: string): Promise<void> {
    const { wal, address } = this.options;
    return wal.receive({
      socketPath: socketPath(address.socketDirectory, address.port),
      user,
      applicationName: WAL_RECEIVER_NAME,
      slot: WAL_RECEIVER_NAME,
    });
  }
}

async function ours(client: pg.Client, senders: readonly Sender[]): Promise<Sender | undefined> {
  const { rows } = await client.query<{ active_pid: number | null }>(OURS, [WAL_RECEIVER_NAME]);
  return senders.find(({ pid }) => pid === rows[0]?.active_pid);
}

async function replicationRole(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ rolname: string }>(ROLES);
  const [role] = rows;
  if (role === undefined) {
    throw computeError(
      'compute_without_replication_role',
      'no role of the branch may log in and is a superuser or has REPLICATION, so that its WAL cannot be received',
    );
  }
  return role.rolname;
}
