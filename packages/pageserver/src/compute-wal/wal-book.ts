import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { WalFollower } from '@offshoot/engine';
import {
  asOffshootError,
  type Lsn,
  type OffshootError,
  type TenantId,
  type TimelineId,
} from '@offshoot/types';
import type { TimelineRecord } from '../catalog/records.js';
import type { WalLog } from '../open-tenant.js';
import { computeWalError } from './compute-wal-errors.js';
import type { ComputeWalSettings } from './compute-wal-settings.js';
import { TimelineWal } from './timeline-wal.js';

export interface WalBookOptions {
  readonly settings: ComputeWalSettings;
  /** The directory of a tenant's logs. */
  readonly directoryOf: (tenant: TenantId) => string;
  /** Opens a timeline's log in the engine. */
  readonly follow: (timeline: TimelineRecord, log: WalLog) => Promise<WalFollower>;
}

/**
 * The WAL logs of timelines that computes write to. A log that may hold more than the pages is taken in before anything
 * else is done with its timeline: that is so at the start of the process, and when a compute ended in an unclean way.
 */
export class WalBook {
  readonly #open = new Map<TimelineId, TimelineWal>();
  /** Nothing in their logs is missing in their pages. */
  readonly #settled = new Set<TimelineId>();
  /** The last work on each timeline's log: one after the other. */
  readonly #turns = new Map<TimelineId, Promise<unknown>>();

  constructor(private readonly options: WalBookOptions) {}

  /** WAL of a compute that is about to start on the timeline. */
  ofCompute(timeline: TimelineRecord): TimelineWal {
    const home = {
      open: (wal: TimelineWal, walStart: Lsn) => this.#openFor(wal, timeline, walStart),
      closed: (wal: TimelineWal, all: boolean) => this.#closed(wal, timeline.id, all),
    };
    return new TimelineWal(home, this.options.settings);
  }

  /** Takes in what is left in the log of a timeline that no compute writes to. Throws `wal_not_taken_in`. */
  recover(timeline: TimelineRecord): Promise<void> {
    return this.#inTurn(timeline.id, () => this.#recover(timeline));
  }

  /** Resolves when all that was received, or all up to `lsn`, can be read. */
  async settle(timeline: TimelineRecord, lsn: Lsn | undefined, signal: AbortSignal): Promise<void> {
    const open = this.#open.get(timeline.id);
    if (open === undefined) {
      await this.recover(timeline);
    } else {
      await open.settle(lsn, signal);
    }
  }

  /** Closes the log, whatever writes to it, and removes it. */
  remove(timeline: TimelineRecord): Promise<void> {
    return this.#inTurn(timeline.id, async () => {
      await this.#open.get(timeline.id)?.abandon();
      this.#settled.delete(timeline.id);
      await rm(this.#dirOf(timeline), { recursive: true, force: true });
    });
  }

  /** Closes logs as they are. */
  async close(timelines: Iterable<TimelineId> = [...this.#open.keys()]): Promise<void> {
    await Promise.all([...timelines].map((id) => this.#open.get(id)?.abandon()));
  }

  async #openFor(wal: TimelineWal, timeline: TimelineRecord, walStart: Lsn): Promise<WalFollower> {
    return await this.#inTurn(timeline.id, async () => {
      if (this.#open.has(timeline.id)) {
        throw computeWalError('wal_in_use', 'a compute writes to the timeline already');
      }
      await this.#recover(timeline);
      const dir = this.#dirOf(timeline);
      const { indexIntervalMs } = this.options.settings;
      await mkdir(dir, { recursive: true, mode: 0o700 });
      this.#settled.delete(timeline.id);
      const follower = await this.options.follow(timeline, { dir, walStart, indexIntervalMs });
      this.#open.set(timeline.id, wal);
      return follower;
    });
  }

  async #recover(timeline: TimelineRecord): Promise<void> {
    if (this.#open.has(timeline.id) || this.#settled.has(timeline.id)) return;
    const dir = this.#dirOf(timeline);
    if (await isThere(dir)) {
      try {
        await this.#takeIn(timeline, dir);
      } catch (thrown) {
        throw notTakenIn(asOffshootError(thrown));
      }
    }
    this.#settled.add(timeline.id);
  }

  async #takeIn(timeline: TimelineRecord, dir: string): Promise<void> {
    const { indexIntervalMs } = this.options.settings;
    const follower = await this.options.follow(timeline, { dir, indexIntervalMs });
    try {
      await follower.settle();
    } finally {
      await follower.close();
    }
  }

  #closed(wal: TimelineWal, id: TimelineId, all: boolean): void {
    if (this.#open.get(id) !== wal) return;
    this.#open.delete(id);
    if (all) this.#settled.add(id);
  }

  #dirOf({ tenant, index }: TimelineRecord): string {
    return join(this.options.directoryOf(tenant), String(index));
  }

  #inTurn<T>(id: TimelineId, work: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(id) ?? Promise.resolve()).then(work);
    const settled = turn
      .catch(() => undefined)
      .then(() => {
        if (this.#turns.get(id) === settled) this.#turns.delete(id);
      });
    this.#turns.set(id, settled);
    return turn;
  }
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}

function notTakenIn(cause: OffshootError): OffshootError {
  return computeWalError('wal_not_taken_in', `what was written before cannot be taken in: ${cause.message}`, {
    details: cause.details,
    cause,
  });
}
