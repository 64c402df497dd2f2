import type { TimelineId } from '@offshoot/types';
import type { Catalog } from '../catalog/catalog.js';
import type { BranchId, TimelineRecord } from '../catalog/records.js';

/** What is asked of the catalog, as of now. */
type Asked = Pick<Catalog, 'branchOf' | 'findBranch' | 'keptLsns'>;

/** Whose history a timeline is, as a round knows its tenant's timelines from its begin on. */
export class HistoryReaders {
  readonly #known = new Set<TimelineId>();
  /** Of timelines that branches named before, those that go on from them. */
  readonly #continuedBy = new Map<TimelineId, TimelineId[]>();

  constructor(
    private readonly catalog: Asked,
    timelines: readonly TimelineRecord[],
  ) {
    for (const { id, parent, continues, readableFrom } of timelines) {
      this.#known.add(id);
      if (parent === undefined || !continues) continue;
      // What is kept of the history begins later than there.
      if (readableFrom > parent.ancestorLsn) continue;
      const known = this.#continuedBy.get(parent.timeline);
      if (known === undefined) this.#continuedBy.set(parent.timeline, [id]);
      else known.push(id);
    }
  }

  /**
   * The timelines that branches name now which have this one in their history, itself maybe; and of branches that may go
   * back to it, by a checkpoint there. None: single LSNs of it are needed, and no history. Undefined: that has changed since
   * the round began.
   */
  of(timeline: TimelineId): TimelineId[] | undefined {
    const readers = new Set<TimelineId>();
    const toAsk = [timeline];
    for (const each of toAsk) {
      if (this.catalog.branchOf(each) !== undefined) readers.add(each);
      // Of one that is not named any more, somebody may have gone on in this moment.
      else if (!this.#addKeepers(each, readers)) return undefined;
      toAsk.push(...(this.#continuedBy.get(each) ?? []));
    }
    return [...readers];
  }

  #addKeepers(timeline: TimelineId, readers: Set<TimelineId>): boolean {
    for (const { by, who } of this.catalog.keptLsns(timeline)) {
      if (by === 'child' && !this.#known.has(who as TimelineId)) return false;
      if (by === 'child') continue;
      const [branch] = who.split('/');
      const named = this.catalog.findBranch(branch as BranchId)?.timeline;
      if (named !== undefined) readers.add(named);
    }
    return true;
  }
}
