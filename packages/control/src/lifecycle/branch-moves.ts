import type { MovedBranch, ResetBranchRequest, RestoreBranchRequest } from '@offshoot/client';
import {
  type BranchMove,
  type BranchRecord,
  catalogError,
  type NewIdempotencyKey,
  type PageServer,
} from '@offshoot/pageserver';
import { type BranchName, baseError, formatLsn, parseBranchName } from '@offshoot/types';
import { branchDeleted, unlessChanged } from '../branch-errors.js';
import {
  type BranchAt,
  type BranchPoint,
  findBranchPoint,
  parentOf,
  parseBranchAt,
} from '../branch-point/index.js';
import { branchPointView } from '../branch-point-view.js';
import type { BranchViews } from '../branch-views.js';
import type { ComputeBook } from '../compute-book.js';
import type { BranchEvents } from '../events/branch-events.js';
import type { Clock } from '../sleep/clock.js';
import { preservedName } from './preserved-name.js';

/** What resets and restores work with. */
export interface MovesPlace {
  readonly pageServer: PageServer;
  readonly computes: ComputeBook;
  readonly views: BranchViews;
  readonly clock: Pick<Clock, 'now'>;
  readonly events: BranchEvents;
  /** Branches that a tenant may have; 0: any number. */
  readonly branchesMax: number;
}

/** Where a branch goes on from: a point in the history of one. */
interface Destination {
  readonly of: BranchRecord;
  readonly at: BranchAt;
  readonly preserveAs: BranchName | undefined;
  readonly timeoutMs: number | undefined;
  readonly key: CallKey | undefined;
}

/** Becomes known with the move; what is said of it is known before. */
type CallKey = Omit<NewIdempotencyKey, 'answer'>;

/** The same once the point is found, and kept. */
interface FoundDestination extends Pick<Destination, 'of' | 'preserveAs' | 'key'> {
  readonly asked: BranchAt;
  readonly point: BranchPoint;
  readonly to: BranchMove['point'];
  /** When it was asked for, as `performance.now` tells. */
  readonly began: number;
}

/**
 * Has branches go on from another point of their parent's or their own history, under the same id and name. Their computes
 * end for that; whoever connects meanwhile waits, and gets the new state.
 */
export class BranchMoves {
  constructor(private readonly place: MovesPlace) {}

  /** To where its parent is now, or was. Throws what `Catalog.moveBranch` throws, and what finding the point throws. */
  async reset(name: string, request: ResetBranchRequest, key?: CallKey): Promise<MovedBranch> {
    const branch = this.#movable(name);
    const parent = branch.parent && this.#catalog.findBranch(branch.parent);
    if (parent === undefined) throw branchDeleted(branch.name);
    const asked = parseBranchAt(request.at ?? 'latest', Date.now());
    const { preserve_as, timeout_ms: timeoutMs } = request;
    const preserveAs = preserve_as === undefined ? undefined : parseBranchName(preserve_as);
    return this.#move(branch, { of: parent, at: asked, preserveAs, timeoutMs, key });
  }

  /** To where it was itself; the state before stays as a branch unless that is not wanted. Throws as `reset` does. */
  async restore(name: string, request: RestoreBranchRequest, key?: CallKey): Promise<MovedBranch> {
    const branch = this.#movable(name);
    const at = parseBranchAt(request.at, Date.now());
    const { preserve_as, preserve = true, timeout_ms: timeoutMs } = request;
    if (!preserve && preserve_as !== undefined) {
      throw baseError('invalid_argument', 'preserve_as names what preserve false does without');
    }
    const chosen = preserve_as === undefined ? this.#newName(branch) : parseBranchName(preserve_as);
    return this.#move(branch, { of: branch, at, preserveAs: preserve ? chosen : undefined, timeoutMs, key });
  }

  get #catalog() {
    return this.place.pageServer.catalog;
  }

  #movable(name: string): BranchRecord {
    const branch = this.#catalog.branchNamed(parseBranchName(name));
    this.#catalog.refuseMove(branch, new Date(this.place.clock.now()));
    return branch;
  }

  async #move(
    branch: BranchRecord,
    { of, at: asked, preserveAs, timeoutMs, key }: Destination,
  ): Promise<MovedBranch> {
    const { pageServer, computes, branchesMax } = this.place;
    const began = performance.now();
    // Before anybody's session ends for nothing; the transaction looks again.
    if (preserveAs !== undefined) {
      this.#catalog.refuseTakenName(preserveAs);
      this.#catalog.refuseBranchOver(branch.tenant, branchesMax);
    }
    // What a compute has acknowledged is there, as far as its user can tell.
    const at = asked.kind === 'latest' && of.parent !== undefined ? ({ kind: 'now' } as const) : asked;
    const history = parentOf(pageServer, computes, of, timeoutMs);
    const point = await unlessChanged(this.#catalog, of, findBranchPoint(history, at));
    const to = { timeline: history.timelineOf(point), lsn: point.lsn };
    // Nobody's session ends for a point that is not kept any more by then.
    const pin = pageServer.pinPoint(of, to);
    try {
      return await this.#moveTo(branch, { of, asked, point, to, preserveAs, key, began });
    } finally {
      pin[Symbol.dispose]();
    }
  }

  async #moveTo(
    branch: BranchRecord,
    { of, asked, point, to, preserveAs, key, began }: FoundDestination,
  ): Promise<MovedBranch> {
    const { pageServer, computes, views, branchesMax } = this.place;
    const settled = performance.now();
    const done = of.id === branch.id ? 'restored to a point of its history' : `reset to ${of.name}`;
    const farewell = `branch ${branch.name} is being ${done}: connect again to get the new state`;
    const said = {
      at: branchPointView(asked, point),
      history_of: of.name,
      ...(preserveAs === undefined ? {} : { preserved: preserveAs }),
    };
    const { moved, ...timed } = await computes.interrupt(branch, farewell, async (connectionsEnded) => {
      const stopped = performance.now();
      const ended = { connections_ended: connectionsEnded };
      const timings = { settle: settled - began, stop: stopped - settled };
      const now = this.#catalog.findBranch(branch.id);
      if (now === undefined) throw branchDeleted(branch.name);
      const answer = JSON.stringify({ ...said, ...ended, timings_ms: timings });
      const idempotencyKey = key && { ...key, answer };
      const continues = of.id === branch.id;
      const move = { from: now.timeline, point: to, continues, preserveAs, branchesMax, idempotencyKey };
      const moved = await pageServer.moveBranch(now, move);
      const catalog = performance.now() - stopped;
      return { moved, ...ended, timings_ms: { ...timings, catalog }, use: moved.branch.use };
    });
    this.place.events.tell(of.id === branch.id ? 'restored' : 'reset', moved.branch, {
      of: of.name,
      lsn: formatLsn(point.lsn),
      ...(point.checkpoint === undefined ? {} : { checkpoint: point.checkpoint.name }),
      ...(moved.preserved === undefined ? {} : { preserved: moved.preserved.name }),
    });
    if (moved.preserved !== undefined) {
      this.place.events.tell('created', moved.preserved, { from: branch.name, keeps: 'the state before' });
    }
    const { connections_ended, timings_ms } = timed;
    return { ...said, branch: views.one(moved.branch), connections_ended, timings_ms };
  }

  #newName(branch: BranchRecord): BranchName {
    const isTaken = (name: BranchName) => this.#catalog.findBranchNamed(name) !== undefined;
    const name = preservedName(branch.name, new Date(this.place.clock.now()), isTaken);
    if (name !== undefined) return name;
    throw catalogError(
      'name_taken',
      `there are too many branches with the state of ${branch.name} before a restore`,
      {
        details: { action: 'delete some, or choose a name: --preserve-as NAME' },
      },
    );
  }
}
