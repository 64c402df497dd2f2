import type { Checkpoint, CreateCheckpointRequest } from '@offshoot/client';
import type { BranchRecord, CheckpointRecord, NewIdempotencyKey, PageServer } from '@offshoot/pageserver';
import { baseError, formatLsn, parseBranchName } from '@offshoot/types';
import { unlessChanged } from '../branch-errors.js';
import { findBranchPoint, NEWEST_CHECKPOINT, parentOf, parseBranchAt } from '../branch-point/index.js';
import type { ComputeBook } from '../compute-book.js';
import type { BranchEvents } from '../events/branch-events.js';

/** A periodic checkpoint: its policy's count, and where the one before is. */
export interface PeriodicCheckpoint {
  readonly name: string;
  readonly keep: number;
}

/** Named LSNs of branches. */
export class Checkpoints {
  constructor(
    private readonly pageServer: PageServer,
    private readonly computes: ComputeBook,
    private readonly events: BranchEvents,
    /** Of one branch. */
    private readonly checkpointsMax: number,
  ) {}

  list(branch: string): Checkpoint[] {
    const of = this.#branch(branch);
    return this.pageServer.catalog.checkpoints(of.id).map((each) => view(of, each));
  }

  /** Throws `checkpoint_exists`, `quota_reached`, `branch_expired`, and what finding the point throws. */
  async create(
    branch: string,
    { name, at = 'latest', timeout_ms }: CreateCheckpointRequest,
    key?: Omit<NewIdempotencyKey, 'answer'>,
  ): Promise<Checkpoint> {
    if (name === NEWEST_CHECKPOINT) {
      throw baseError(
        'invalid_argument',
        `a checkpoint cannot be called ${name}: @${name} is whichever is newest`,
      );
    }
    const of = this.#branch(branch);
    const asked = parseBranchAt(at, Date.now());
    const place = asked.kind === 'latest' && of.parent !== undefined ? ({ kind: 'now' } as const) : asked;
    const history = parentOf(this.pageServer, this.computes, of, timeout_ms);
    const point = await unlessChanged(this.pageServer.catalog, of, findBranchPoint(history, place));
    const made = await this.pageServer.createCheckpoint(of, {
      branch: of.id,
      name,
      timeline: history.timelineOf(point),
      lsn: point.lsn,
      kind: 'manual',
      checkpointsMax: this.checkpointsMax,
      ...(key && { idempotencyKey: { ...key, answer: (made) => JSON.stringify(view(of, made)) } }),
    });
    this.events.tell('checkpoint_created', of, { checkpoint: name, lsn: formatLsn(point.lsn) });
    return view(of, made);
  }

  /** Of all that is there now; undefined when nothing has changed since the last one. */
  async take(of: BranchRecord, { name, keep }: PeriodicCheckpoint): Promise<CheckpointRecord | undefined> {
    const history = parentOf(this.pageServer, this.computes, of, undefined);
    const point = await findBranchPoint(history, { kind: of.parent === undefined ? 'latest' : 'now' });
    const timeline = history.timelineOf(point);
    const before = this.pageServer.catalog.checkpoints(of.id).findLast(({ kind }) => kind === 'periodic');
    if (before?.timeline === timeline && before.lsn === point.lsn) return undefined;
    return this.pageServer.createCheckpoint(of, {
      branch: of.id,
      name,
      timeline,
      lsn: point.lsn,
      kind: 'periodic',
      checkpointsMax: this.checkpointsMax,
      keepPeriodic: keep,
    });
  }

  /** Throws `checkpoint_not_found`. */
  async delete(branch: string, name: string): Promise<Checkpoint> {
    const of = this.#branch(branch);
    const gone = await this.pageServer.deleteCheckpoint(of, name);
    this.events.tell('checkpoint_deleted', of, { checkpoint: name });
    return view(of, gone);
  }

  #branch(name: string): BranchRecord {
    return this.pageServer.catalog.branchNamed(parseBranchName(name));
  }
}

function view({ name: branch }: BranchRecord, { name, lsn, createdAt, kind }: CheckpointRecord): Checkpoint {
  return { name, branch, lsn: formatLsn(lsn), created_at: createdAt, kind };
}
