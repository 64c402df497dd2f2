import type { Database } from 'lmdb';
import type { BranchId, BranchRecord } from './records.js';

/** More than that is not kept: whoever comes later reads all of them. */
const CHANGES_MAX = 20_000;

/** Which branches have changed since a moment. */
export interface BranchChanges {
  /** To be asked with the next time. */
  readonly position: number;
  /** Some perhaps several times; undefined: any of them. */
  readonly ids: readonly BranchId[] | undefined;
}

/**
 * Branches by their ids. It remembers which were written, so that who knows all of them need not read all again.
 *
 * LMDB's number of the last commit would not tell that something has changed: `mdb_env_info` has the new one from the moment
 * that the meta page is written, but readers begin at the old one until that write is through.
 */
export class BranchTable {
  /** In the transaction that runs now: one at a time, without a pause. */
  #touched: BranchId[] = [];
  #changes: BranchId[] = [];
  /** How many there were before those. */
  #forgotten = 0;

  constructor(private readonly database: Database<BranchRecord, BranchId>) {}

  get(id: BranchId): BranchRecord | undefined {
    return this.database.get(id);
  }

  *values(): Generator<BranchRecord> {
    for (const { value } of this.database.getRange()) yield value;
  }

  count(): number {
    const { entryCount } = this.database.getStats() as Record<string, number>;
    return entryCount ?? 0;
  }

  /** LMDB's, of the table. */
  getStats(): unknown {
    return this.database.getStats();
  }

  put(branch: BranchRecord): void {
    this.#touched.push(branch.id);
    this.database.put(branch.id, branch);
  }

  remove(id: BranchId): void {
    this.#touched.push(id);
    this.database.remove(id);
  }

  /** Runs `transaction`, whose changes are told of when it is over, whatever came of it. */
  async telling<T>(transaction: (change: <R>(work: () => R) => R) => Promise<T>): Promise<T> {
    let touched: BranchId[] = [];
    try {
      return await transaction((work) => {
        this.#touched = [];
        try {
          return work();
        } finally {
          touched = this.#touched;
        }
      });
    } finally {
      this.#tell(touched);
    }
  }

  /** Whoever reads those after this call sees what has been told. */
  changesSince(position: number | undefined): BranchChanges {
    const now = this.#forgotten + this.#changes.length;
    const isKept = position !== undefined && position >= this.#forgotten;
    return { position: now, ids: isKept ? this.#changes.slice(position - this.#forgotten) : undefined };
  }

  #tell(ids: readonly BranchId[]): void {
    this.#changes.push(...ids);
    if (this.#changes.length <= CHANGES_MAX) return;
    const forgotten = this.#changes.length - CHANGES_MAX / 2;
    this.#changes = this.#changes.slice(forgotten);
    this.#forgotten += forgotten;
  }
}
