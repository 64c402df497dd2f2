import { setTimeout } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Lsn, TenantId, TimelineId } from '@offshoot/types';
import type { Catalog } from '../catalog/catalog.js';
import type { BranchId, TimelineRecord } from '../catalog/records.js';
import type { OpenTenant } from '../open-tenant.js';
import type { OpenTimeline } from '../open-timeline.js';
import type { Pinned } from './branch-storage.js';
import { cutoffOf } from './cutoff.js';
import { HistoryReaders } from './history-readers.js';
import { Pace } from './pace.js';
import { type HeldPoints, heldPoints, NOBODY } from './point-holders.js';
import type { HistorySettings, RetentionSettings } from './retention-settings.js';
import { TenantTurns } from './tenant-turns.js';
import { TimelineMeasures } from './timeline-measures.js';
import { CLOSED } from './timeline-window.js';

/** Answers the LSNs of a timeline that have to stay readable, as of the call. */
export type Keeper = (timeline: TimelineId) => Iterable<Lsn>;

/** What was done to a tenant since the start of the process. */
export interface CollectorView {
  readonly rounds: number;
  readonly entriesLookedAt: number;
  readonly entriesRemoved: number;
  /** Keys and values. */
  readonly bytesRemoved: number;
  /** Places in the store that make no sense, of which all was left; of the last round. */
  readonly damaged: number;
  readonly running: boolean;
  /** Timelines that the round under way has not come to yet. */
  readonly timelinesPending: number;
  /** How long all rounds took, pauses included. */
  readonly roundsMs: number;
  /** Of the last round: when it ended, and how long it took, pauses included. */
  readonly lastRound?: { readonly endedAt: Date; readonly durationMs: number } | undefined;
}

export interface CollectorPlace {
  readonly settings: RetentionSettings;
  readonly catalog: Pick<
    Catalog,
    'timelines' | 'refresh' | 'raiseReadableFrom' | 'findTenant' | 'keptLsns' | 'branchOf' | 'findBranch'
  >;
  /** Undefined: it is not open. */
  readonly open: (tenant: TenantId) => OpenTenant | undefined;
  readonly keepers: Iterable<Keeper>;
  /** Unix milliseconds. */
  readonly now: () => number;
}

const NOTHING: CollectorView = {
  rounds: 0,
  entriesLookedAt: 0,
  entriesRemoved: 0,
  bytesRemoved: 0,
  damaged: 0,
  running: false,
  timelinesPending: 0,
  roundsMs: 0,
};

interface Round {
  readonly id: TenantId;
  readonly tenant: OpenTenant;
  /** By the catalog, as the round began. */
  readonly starts: ReadonlyMap<TimelineId, ReadonlySet<Lsn>>;
  readonly readers: HistoryReaders;
  readonly pace: Pace;
}

/** What a timeline's walk went through with, and what it found. */
interface Walked {
  readonly readableFrom: Lsn;
  readonly kept: ReadonlySet<Lsn>;
  readonly held: HeldPoints;
  readonly at: Date;
  readonly pinned: ReadonlyMap<BranchId, Omit<Pinned, 'at'>>;
}

/**
 * Removes what nobody can read any more. Of each timeline, where reading begins is first raised in the catalog; then who
 * needs what of before that is asked, everything else is refused, and only then anything is removed.
 */
export class Collector {
  readonly measures: TimelineMeasures;
  readonly #turns: TenantTurns;
  readonly #views = new Map<TenantId, CollectorView>();
  readonly #walked = new WeakMap<OpenTimeline, Walked>();
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly place: CollectorPlace) {
    this.measures = new TimelineMeasures(place.settings.lookEntriesMax, place.now);
    this.#turns = new TenantTurns((tenant, signal) => this.#round(tenant, signal));
  }

  view(tenant: TenantId): CollectorView {
    return this.#views.get(tenant) ?? NOTHING;
  }

  /** What a branch pins of a timeline, as of the last round; undefined before the first. */
  pinnedIn(open: OpenTimeline, branch: BranchId): Pinned | undefined {
    const walked = this.#walked.get(open);
    return walked && { ...(walked.pinned.get(branch) ?? { versions: 0, bytes: 0 }), at: walked.at };
  }

  /** Measures a timeline now; when that takes longer than `waitMs` it goes on. Never rejects. */
  async measure(tenant: OpenTenant, open: OpenTimeline, waitMs: number): Promise<void> {
    const pace = new Pace(this.place.settings.busyPercentMax, new AbortController().signal);
    // The tenant may be closed meanwhile; what was measured last stays.
    const measured = this.measures.measure(tenant, open, pace).catch(() => {});
    await Promise.race([measured, setTimeout(waitMs, undefined, { ref: false })]);
  }

  /** Resolves at the end of a round that begins from now on. */
  run(tenant: TenantId): Promise<void> {
    return this.#turns.run(tenant);
  }

  /** Nothing is done to the tenant any more once this resolves. */
  async leave(tenant: TenantId): Promise<void> {
    await this.#turns.leave(tenant);
    this.#views.delete(tenant);
  }

  close(): Promise<void> {
    clearInterval(this.#timer);
    return this.#turns.close();
  }

  /**
   * From now on there is a round over each tenant again and again. Whoever keeps LSNs must have said so by now: of what is
   * before where reading begins, only that can be read which somebody keeps.
   */
  start(tenants: () => Iterable<TenantId>, onFailure: (tenant: TenantId, error: unknown) => void): void {
    for (const id of tenants()) {
      try {
        this.#declare(id);
      } catch (error) {
        // Nothing is removed that nobody has asked for; only what is kept before that cannot be read for now.
        onFailure(id, error);
      }
    }
    this.#timer = setInterval(() => {
      for (const id of tenants()) {
        if (this.view(id).running) continue;
        this.run(id).catch((error: unknown) => onFailure(id, error));
      }
    }, this.place.settings.intervalMs);
    this.#timer.unref();
  }

  #declare(id: TenantId): void {
    const tenant = this.place.open(id);
    if (tenant === undefined) return;
    const timelines = this.#timelines(id);
    const starts = branchStarts(timelines);
    for (const { id: timeline } of timelines) {
      const open = tenant.find(timeline);
      if (open === undefined) continue;
      const needed = this.#needed(open, timeline, starts);
      // Of most nothing is: they are as they were opened.
      if (needed.size > 0) tenant.narrow(open, open.readableFrom, needed);
    }
  }

  async #round(id: TenantId, signal: AbortSignal): Promise<void> {
    const tenant = this.place.open(id);
    if (tenant === undefined) return;
    const began = performance.now();
    this.#count(id, { running: true, damaged: 0 });
    try {
      const pace = new Pace(this.place.settings.busyPercentMax, signal);
      const timelines = this.#timelines(id);
      const starts = branchStarts(timelines);
      const readers = new HistoryReaders(this.place.catalog, timelines);
      const round = { id, tenant, starts, readers, pace };
      const failures: unknown[] = [];
      for (const [at, { id: timeline }] of timelines.entries()) {
        this.#count(id, { timelinesPending: timelines.length - at });
        const open = tenant.find(timeline);
        if (open === undefined) continue;
        await this.#collect(round, timeline, open).catch((error: unknown) => {
          signal.throwIfAborted();
          // Else it was deleted meanwhile. What is wrong with one is no reason to leave the others.
          if (tenant.find(timeline) === open) failures.push(error);
        });
      }
      if (failures.length > 0) throw failures[0];
      const durationMs = performance.now() - began;
      const lastRound = { endedAt: new Date(this.place.now()), durationMs };
      this.#count(id, { rounds: this.view(id).rounds + 1, lastRound });
    } finally {
      const roundsMs = this.view(id).roundsMs + performance.now() - began;
      this.#count(id, { running: false, timelinesPending: 0, roundsMs });
    }
  }

  async #collect(round: Round, timeline: TimelineId, open: OpenTimeline): Promise<void> {
    const { id, tenant, starts, pace } = round;
    const cutoff = await pace.portion(() => this.#cutoff(round, timeline, open));
    if (cutoff > open.readableFrom) {
      const known = await this.place.catalog.raiseReadableFrom(timeline, cutoff);
      if (known === undefined) return;
    }
    // From here to the end of the narrowing nothing else happens in this process.
    if (tenant.find(timeline) !== open) return;
    this.#narrow(tenant, open, timeline, cutoff, starts);
    const { kept } = open;
    const held =
      kept.size === 0 ? NOBODY : await heldPoints(this.place.catalog, timeline, (lsn) => kept.has(lsn));
    const walked = this.#walked.get(open);
    if (walked === undefined || !isWalked(walked, open, held)) {
      const pinned = await this.#walk(id, tenant, open, { pace, held });
      this.#walked.set(open, { readableFrom: cutoff, kept, held, pinned, at: new Date(this.place.now()) });
    } else {
      this.#walked.set(open, { ...walked, at: new Date(this.place.now()) });
      if (this.measures.isCurrent(open)) {
        this.measures.confirm(open);
        return;
      }
    }
    await this.measures.measure(tenant, open, pace);
  }

  /**
   * As much as whoever has it in their history needs most. One that nobody needs any of, but for single LSNs, is closed: what
   * was undone on it goes too.
   */
  async #cutoff({ id, tenant, readers }: Round, timeline: TimelineId, open: OpenTimeline): Promise<Lsn> {
    const { readableFrom } = open;
    const found = readers.of(timeline);
    if (found === undefined || readableFrom === CLOSED) return readableFrom;
    const last = open.lastRecordLsn();
    let cutoff = last;
    for (const reader of found.map((each) => tenant.find(each))) {
      // It was left in this moment.
      if (reader === undefined) return readableFrom;
      const own = await cutoffOf(open, this.historyOf(id), this.place.now(), reader);
      if (own < cutoff) cutoff = own;
    }
    return cutoff === last && !found.includes(timeline) ? CLOSED : cutoff;
  }

  /**
   * Branches that were made since the round began hold their starts themselves, as all do; the catalog's word is asked as
   * well, since it is the one that counts.
   */
  #narrow(
    tenant: OpenTenant,
    open: OpenTimeline,
    timeline: TimelineId,
    readableFrom: Lsn,
    starts: ReadonlyMap<TimelineId, ReadonlySet<Lsn>>,
  ): void {
    tenant.narrow(open, readableFrom, this.#needed(open, timeline, starts));
  }

  #needed(
    open: OpenTimeline,
    timeline: TimelineId,
    starts: ReadonlyMap<TimelineId, ReadonlySet<Lsn>>,
  ): Set<Lsn> {
    const needed = new Set<Lsn>(open.pinned());
    for (const lsn of starts.get(timeline) ?? []) needed.add(lsn);
    for (const keeper of this.place.keepers) for (const lsn of keeper(timeline)) needed.add(lsn);
    return needed;
  }

  /** Answers what is kept for branches. */
  async #walk(
    id: TenantId,
    tenant: OpenTenant,
    open: OpenTimeline,
    { pace, held }: { readonly pace: Pace; readonly held: HeldPoints },
  ): Promise<ReadonlyMap<BranchId, Omit<Pinned, 'at'>>> {
    const { lookEntriesMax, lookMsMax, portionEntriesMax, portionBytesMax } = this.place.settings;
    const portion = { entriesMax: portionEntriesMax, bytesMax: portionBytesMax };
    const look = { entriesMax: lookEntriesMax, timeMaxMs: lookMsMax, portion };
    const pinned = new Map<BranchId, Omit<Pinned, 'at'>>();
    let cursor: Uint8Array | undefined;
    do {
      const step = await pace.portion(() => tenant.collect(open.index, cursor, look, held.points));
      const before = this.view(id);
      this.#count(id, {
        entriesLookedAt: before.entriesLookedAt + step.lookedAt,
        entriesRemoved: before.entriesRemoved + step.removed,
        bytesRemoved: before.bytesRemoved + step.removedBytes,
        damaged: before.damaged + step.damaged,
      });
      for (const { holder, versions, bytes } of step.kept) {
        const branch = held.branches[holder - 1];
        if (branch === undefined) continue;
        const sum = pinned.get(branch) ?? { versions: 0, bytes: 0 };
        pinned.set(branch, { versions: sum.versions + versions, bytes: sum.bytes + bytes });
      }
      cursor = step.next;
    } while (cursor !== undefined);
    return pinned;
  }

  /** As the catalog has them now. */
  #timelines(id: TenantId): TimelineRecord[] {
    this.place.catalog.refresh();
    return this.place.catalog.timelines(id);
  }

  /** The tenant's own, else the daemon's. */
  historyOf(id: TenantId): HistorySettings {
    const { historySeconds, historyWalBytesMax } = this.place.settings;
    const own = this.place.catalog.findTenant(id)?.history;
    return {
      historySeconds: own?.historySeconds ?? historySeconds,
      historyWalBytesMax: own?.historyWalBytesMax ?? historyWalBytesMax,
    };
  }

  #count(id: TenantId, change: Partial<CollectorView>): void {
    this.#views.set(id, { ...this.view(id), ...change });
  }
}

/** Nothing can be removed that could not be when it was last walked through, and what is kept is the same branches'. */
function isWalked(walked: Walked, open: OpenTimeline, held: HeldPoints): boolean {
  return (
    walked.readableFrom === open.readableFrom &&
    [...walked.kept].every((lsn) => open.kept.has(lsn)) &&
    isDeepStrictEqual(walked.held, held)
  );
}

/** Where others leave each timeline. */
function branchStarts(timelines: readonly TimelineRecord[]): Map<TimelineId, Set<Lsn>> {
  const starts = new Map<TimelineId, Set<Lsn>>();
  for (const { parent } of timelines) {
    if (parent === undefined) continue;
    const known = starts.get(parent.timeline);
    if (known === undefined) starts.set(parent.timeline, new Set([parent.ancestorLsn]));
    else known.add(parent.ancestorLsn);
  }
  return starts;
}
