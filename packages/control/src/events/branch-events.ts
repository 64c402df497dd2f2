import type { BranchEvent } from '@offshoot/client';
import type { Actor, BranchId, BranchRecord, Catalog } from '@offshoot/pageserver';
import type { Clock } from '../sleep/clock.js';

/** Where events go. */
export interface EventSink {
  /** May throw: what has happened has happened all the same. */
  record(event: BranchEvent): void;
}

type Kind = BranchEvent['event'];
type Facts = NonNullable<BranchEvent['facts']>;

/** Tells the log what has become of branches. */
export class BranchEvents {
  constructor(
    private readonly catalog: () => Pick<Catalog, 'findBranch' | 'findTenant'>,
    private readonly clock: Pick<Clock, 'now'>,
    private readonly sink: EventSink | undefined,
    private readonly onTrouble: (branch: string, error: unknown) => void,
  ) {}

  tell(event: Kind, branch: Pick<BranchRecord, 'id' | 'name' | 'tenant'>, facts: Facts = {}): void {
    if (this.sink === undefined) return;
    try {
      this.sink.record({
        time: new Date(this.clock.now()).toISOString(),
        event,
        branch: branch.name,
        branch_id: branch.id,
        tenant: this.catalog().findTenant(branch.tenant)?.name ?? branch.tenant,
        ...(Object.keys(facts).length === 0 ? {} : { facts }),
      });
    } catch (error) {
      this.onTrouble(branch.name, error);
    }
  }

  /** Of one that may be gone: then nothing. */
  tellOf(event: Kind, id: BranchId, facts: Facts = {}): void {
    const branch = this.catalog().findBranch(id);
    if (branch !== undefined) this.tell(event, branch, facts);
  }
}

/** Whose call it was: the token's id, and its name at that time. */
export function actorFacts(actor: Actor | undefined): { token?: string; token_name?: string } {
  return actor === undefined ? {} : { token: actor.token, token_name: actor.name };
}
