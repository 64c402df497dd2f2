import type { DeletedBranch } from '@offshoot/client';
import {
  type Actor,
  type BranchId,
  type BranchRecord,
  catalogError,
  type PageServer,
} from '@offshoot/pageserver';
import { asOffshootError, type OffshootError } from '@offshoot/types';
import { branchDeleted, branchExpired } from '../branch-errors.js';
import type { BranchViews } from '../branch-views.js';
import type { ComputeBook } from '../compute-book.js';
import { actorFacts, type BranchEvents } from '../events/branch-events.js';
import { lifeFacts } from './branch-record.js';

/** Branches that come while their parent is deleted with all its branches are looked for so often. */
const LOOKS_MAX = 10;

/** Ends branches, and their computes with them. */
export class BranchDeletion {
  /** Those of which it was told that they have expired, with when that was. */
  readonly #shut = new Map<BranchId, string | undefined>();

  constructor(
    private readonly pageServer: PageServer,
    private readonly computes: Pick<ComputeBook, 'retire' | 'knows' | 'use'>,
    private readonly views: BranchViews,
    private readonly events: BranchEvents,
    /** One is gone: its parent may have waited for that. */
    private readonly onDeleted: () => void,
  ) {}

  /** `recursive`: those that start from it go before it. Throws what `Catalog.deleteBranch` throws; nothing is done then. */
  async delete(
    branch: BranchRecord,
    {
      recursive = false,
      by,
      because = 'user',
    }: { recursive?: boolean; by?: Actor; because?: 'user' | 'load' } = {},
  ): Promise<DeletedBranch> {
    const view = this.views.one(branch);
    const deleted = recursive ? await this.#deleteTree(branch, by) : [branch.name];
    if (!recursive) await this.#deleteOne(branch, { by: because, ...actorFacts(by) });
    const activity = { ...view.activity, state: 'asleep' as const, connections: 0 };
    return { ...view, compute: 'stopped', activity, deleted };
  }

  /** Of one whose time was over `now`. */
  async expire(branch: BranchRecord, now: Date): Promise<void> {
    const gone = branchDeleted(branch.name, `it expired at ${branch.expiresAt}`);
    await this.#deleteOne(branch, { by: 'expiry' }, { expiredBy: now }, gone);
  }

  /** It has expired, and others start from it: its compute ends. */
  async shut(branch: BranchRecord): Promise<void> {
    // A call that gave it more time, and it is over again: that is told anew.
    if (this.#shut.get(branch.id) !== branch.expiresAt) {
      this.#shut.set(branch.id, branch.expiresAt);
      this.events.tell('expired', branch);
    }
    if (this.computes.knows(branch.id)) {
      await this.computes.retire(branch, branchExpired(branch), async () => {});
    }
  }

  /** The catalog decides first: a branch that others start from keeps its compute, one that is gone ends with it. */
  async #deleteOne(
    branch: BranchRecord,
    facts: { readonly by: 'user' | 'load' | 'cascade' | 'expiry' },
    condition: { expiredBy?: Date } = {},
    gone: OffshootError = branchDeleted(branch.name),
  ): Promise<void> {
    const { catalog } = this.pageServer;
    catalog.refuseUndeletable(branch);
    let life = lifeFacts(branch, branch.use);
    await this.computes.retire(branch, gone, async () => {
      const now = catalog.findBranch(branch.id);
      // Another branch may have its name by now.
      if (now === undefined) {
        throw catalogError('branch_not_found', `branch ${branch.name} does not exist any more`);
      }
      life = lifeFacts(now, this.computes.use(now));
      await this.pageServer.deleteBranch(now.name, condition);
    });
    this.#shut.delete(branch.id);
    this.events.tell('deleted', branch, { ...facts, ...life });
    this.onDeleted();
  }

  async #deleteTree(root: BranchRecord, actor: Actor | undefined): Promise<string[]> {
    const deleted: string[] = [];
    for (let look = 1; ; look += 1) {
      const leafFirst = this.#treeOf(root);
      for (const branch of leafFirst) this.#refuseKept(root, branch);
      try {
        for (const branch of leafFirst) {
          await this.#deleteOne(branch, {
            by: branch.id === root.id ? 'user' : 'cascade',
            ...actorFacts(actor),
          });
          deleted.push(branch.name);
        }
        return deleted;
      } catch (error) {
        // Somebody made a branch of one of them meanwhile, or deleted one.
        const { code } = asOffshootError(error);
        const there = this.pageServer.catalog.findBranch(root.id) !== undefined;
        if (!there && deleted.length > 0) return deleted;
        if (look === LOOKS_MAX || !['branch_has_children', 'branch_not_found'].includes(code) || !there)
          throw error;
      }
    }
  }

  /** Those that start from a branch, at any remove, before those that they start from; itself last. */
  #treeOf(root: BranchRecord): BranchRecord[] {
    const parentFirst = [root];
    for (const branch of parentFirst) parentFirst.push(...this.pageServer.catalog.childrenOf(branch.id));
    return parentFirst.reverse();
  }

  #refuseKept(root: BranchRecord, branch: BranchRecord): void {
    if (branch.id === root.id) this.pageServer.catalog.refuseKept(branch);
    if (!branch.protected) return;
    throw catalogError(
      'branch_protected',
      `branch ${branch.name} is protected, and starts from ${root.name}`,
      {
        details: {
          action: `if it may go too: pageserver-ctl branch unprotect ${branch.name}; then ask again`,
        },
      },
    );
  }
}
