import type { WalFollower } from '@offshoot/engine';
import { asOffshootError, type Lsn, type OffshootError, type TimelineId } from '@offshoot/types';
import type { TimelineRecord } from '../catalog/records.js';
import { computeWalError } from './compute-wal-errors.js';
import type { ComputeWalSettings } from './compute-wal-settings.js';
import { COMPUTE_WAL_STATES, type ComputeWalState, TimelineWal } from './timeline-wal.js';

export interface WalBookOptions {
  readonly settings: ComputeWalSettings;
  /** Takes in what is in a timeline's log and not in its pages, and closes the log. */
  readonly recover: (timeline: TimelineRecord) => Promise<void>;
  /** Removes a timeline's log. */
  readonly remove: (timeline: TimelineRecord) => Promise<void>;
  /** Opens a timeline's log for a new WAL. */
  readonly follow: (timeline: TimelineRecord, walStart: Lsn) => Promise<WalFollower>;
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

  #reconnects = 0;

  constructor(private readonly options: WalBookOptions) {}

  /** How many logs that computes write to are in each state. */
  counts(): Readonly<Record<ComputeWalState, number>> {
    const counts = Object.fromEntries(COMPUTE_WAL_STATES.map((state) => [state, 0]));
    for (const { state } of this.#open.values()) {
      counts[state] = (counts[state] ?? 0) + 1;
    }
    return counts as Record<ComputeWalState, number>;
  }

  /** How often a broken connection to a compute was made anew. */
  get reconnects(): number {
    return this.#reconnects;
  }

  /** Up to where a compute's WAL is on our disk; undefined when none writes to the timeline. */
  receivedLsn(timeline: TimelineId): Lsn | undefined {
    return this.#open.get(timeline)?.receivedLsn();
  }

  /** WAL of a compute that is about to start on the timeline. */
  ofCompute(timeline: TimelineRecord): TimelineWal {
    const home = {
      open: (wal: TimelineWal, walStart: Lsn) => this.#openFor(wal, timeline, walStart),
      closed: (wal: TimelineWal, all: boolean) => this.#closed(wal, timeline, all),
      reconnected: () => {
        this.#reconnects += 1;
      },
    };
    return new TimelineWal(home, this.options.settings);
  }

  /** Takes in what is left in the log of a timeline that no compute writes to. Throws `wal_not_taken_in`, `wal_damaged`. */
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

  /** Closes logs as they are, whatever writes to them. */
  async abandon(timelines: Iterable<TimelineId>): Promise<void> {
    await Promise.all(
      [...timelines].map((id) =>
        this.#inTurn(id, async () => {
          await this.#open.get(id)?.abandon();
          this.#settled.delete(id);
        }),
      ),
    );
  }

  async abandonAll(): Promise<void> {
    await this.abandon([...this.#open.keys()]);
    await Promise.allSettled(this.#turns.values());
  }

  async #openFor(wal: TimelineWal, timeline: TimelineRecord, walStart: Lsn): Promise<WalFollower> {
    return await this.#inTurn(timeline.id, async () => {
      if (this.#open.has(timeline.id)) {
        throw computeWalError('wal_in_use', 'a compute writes to the timeline already');
      }
      await this.#recover(timeline);
      this.#settled.delete(timeline.id);
      const follower = await this.options.follow(timeline, walStart);
      this.#open.set(timeline.id, wal);
      return follower;
    });
  }

  async #recover(timeline: TimelineRecord): Promise<void> {
    if (this.#open.has(timeline.id) || this.#settled.has(timeline.id)) return;
    try {
      await this.options.recover(timeline);
    } catch (thrown) {
      throw notTakenIn(asOffshootError(thrown));
    }
    this.#settled.add(timeline.id);
  }

  #closed(wal: TimelineWal, timeline: TimelineRecord, all: boolean): void {
    const { id } = timeline;
    if (this.#open.get(id) !== wal) return;
    this.#open.delete(id);
    if (!all) return;
    this.#settled.add(id);
    // Nobody waits for that. One that stays is looked through at the next start.
    this.#inTurn(id, () => this.#remove(timeline)).catch(() => undefined);
  }

  /** What is in the pages for good is not needed a second time; the next compute has a WAL of its own. */
  async #remove(timeline: TimelineRecord): Promise<void> {
    if (this.#open.has(timeline.id) || !this.#settled.has(timeline.id)) return;
    await this.options.remove(timeline);
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

/** A damaged log is told by its own code: trying again does not help. */
function notTakenIn(cause: OffshootError): OffshootError {
  if (cause.code === 'wal_damaged') return cause;
  return computeWalError('wal_not_taken_in', `what was written before cannot be taken in: ${cause.message}`, {
    details: cause.details,
    cause,
  });
}
