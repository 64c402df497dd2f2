import type { BranchId, BranchRecord, Catalog, TokenRecord } from '@offshoot/pageserver';

/**
 * The branches that a token of scope `branch` has to do with. It uses those that it made and all that come of them; with
 * reach `parents` all that come of its parents. Its parents themselves it sees, and may branch. For one call: what was
 * found out of a branch is kept.
 */
export class Reach {
  readonly #used = new Map<BranchId, boolean>();
  readonly #parents: ReadonlySet<BranchId>;

  constructor(
    private readonly catalog: Pick<Catalog, 'findBranch'>,
    private readonly token: TokenRecord,
  ) {
    this.#parents = new Set(token.parents);
  }

  /** Of those that are still there. */
  parentNames(): string[] {
    return [...this.#parents].flatMap((id) => this.catalog.findBranch(id)?.name ?? []);
  }

  uses(branch: BranchRecord): boolean {
    const passed: BranchId[] = [];
    let used: boolean | undefined;
    let each: BranchRecord | undefined = branch;
    // A loop: ancestors may be many.
    while (each !== undefined && used === undefined) {
      used = this.#used.get(each.id) ?? this.#usesFor(each);
      passed.push(each.id);
      each = each.parent === undefined ? undefined : this.catalog.findBranch(each.parent);
    }
    for (const id of passed) this.#used.set(id, used ?? false);
    return used ?? false;
  }

  sees(branch: BranchRecord): boolean {
    return this.#parents.has(branch.id) || this.uses(branch);
  }

  /** For a reason of its own; undefined: only if its parent is. */
  #usesFor({ parent, createdBy }: BranchRecord): boolean | undefined {
    // Production's own history.
    if (parent === undefined) return false;
    if (createdBy?.token === this.token.id) return true;
    return this.token.reach === 'parents' && this.#parents.has(parent) ? true : undefined;
  }
}
