import { randomBytes } from 'node:crypto';
import {
  type BranchName,
  type RandomBytes,
  randomTimelineId,
  type TenantId,
  type TimelineId,
} from '@offshoot/types';
import { type BranchWithTimeline, putNewBranch, putTimeline } from './branch-timelines.js';
import { branchChanged, catalogError } from './catalog-errors.js';
import { CatalogReads } from './catalog-reads.js';
import type { CatalogTables } from './catalog-tables.js';
import { inOneTransaction } from './catalog-transaction.js';
import { type NewIdempotencyKey, putIdempotencyKey } from './idempotency-keys.js';
import type { BranchId, BranchRecord, BranchSettings, TimelineRecord } from './records.js';

/** Clock and chance, as a test may want to hold them. */
export interface CatalogSurroundings {
  readonly now?: (() => Date) | undefined;
  readonly random?: RandomBytes | undefined;
}

/** Timeline indexes are unsigned 32 bits in the engine's keys. */
const TIMELINE_INDEX_MAX = 0xffff_ffff;

/** What all that write to the catalog have in common. */
export class CatalogWrites extends CatalogReads {
  protected readonly now: () => Date;
  readonly #random: RandomBytes;

  protected constructor(tables: CatalogTables, { now, random }: CatalogSurroundings) {
    super(tables);
    this.now = now ?? (() => new Date());
    this.#random = random ?? randomBytes;
  }

  protected write<T>(change: () => T): Promise<T> {
    const { root, branches } = this.tables;
    return branches.telling((telling) => inOneTransaction(root, () => telling(change)));
  }

  protected makeBranch(
    name: BranchName,
    history: Omit<TimelineRecord, 'id' | 'index'>,
    index: number,
    own: Pick<BranchRecord, 'parent' | 'role' | 'hadRole'> & BranchSettings = {},
  ): BranchWithTimeline {
    const id = this.newBranchId();
    const timeline = this.newTimeline(history, index);
    const createdAt = this.now().toISOString();
    const branch = { id, tenant: history.tenant, name, timeline: timeline.id, createdAt, ...own };
    putTimeline(this.tables, timeline);
    putNewBranch(this.tables, branch);
    return { branch, timeline };
  }

  protected newTimeline(history: Omit<TimelineRecord, 'id' | 'index'>, index: number): TimelineRecord {
    return { id: randomTimelineId(this.#random), index, ...history };
  }

  /** What was done to a branch was asked for under a key, or none. */
  protected putKey(key: NewIdempotencyKey | undefined, branch: BranchRecord): void {
    if (key !== undefined) putIdempotencyKey(this.tables, key, branch, this.now());
  }

  protected newBranchId(): BranchId {
    return Buffer.from(this.#random(16)).toString('hex') as BranchId;
  }

  /** Throws `branch_changed`: what was there when a point of it was chosen is not any more. */
  protected timelineOf(branch: BranchRecord, id: TimelineId): TimelineRecord {
    return this.findTimeline(id) ?? raise(branchChanged(branch));
  }

  protected expectActive(id: TenantId): void {
    const { name, state } = this.tenant(id);
    if (state !== 'active') {
      throw catalogError('tenant_not_active', `tenant ${name} is ${state}`);
    }
  }

  protected nextTimelineIndex(): number {
    const index = this.tables.meta.get('next_timeline_index') ?? 1;
    if (index > TIMELINE_INDEX_MAX) {
      throw catalogError('catalog_write_failed', 'the daemon has used up all timeline numbers');
    }
    this.tables.meta.put('next_timeline_index', index + 1);
    return index;
  }
}

function raise(error: Error): never {
  throw error;
}
