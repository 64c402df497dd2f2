import type { Branch, BranchEvent, BranchLifeRecord } from '@offshoot/client';
import type { BranchRecord, BranchUse } from '@offshoot/pageserver';

type Facts = NonNullable<BranchEvent['facts']>;

/** How a branch was used, of what is known of it. */
export interface UseView {
  readonly never_used: boolean;
  readonly abandoned: boolean;
}

/**
 * `never_used`: nobody has connected or run a statement. `abandoned`: nobody is connected, and nobody has for so long. A
 * tenant's first branch is production's, and is neither.
 */
export function useView(
  { parent, created_at, activity }: Pick<Branch, 'parent' | 'created_at' | 'activity'>,
  nowMs: number,
  abandonedAfterSeconds: number,
): UseView {
  if (parent === undefined) return { never_used: false, abandoned: false };
  const { connections, first_connection_at, first_query_at } = activity;
  const times = [created_at, activity.last_connection_at, activity.last_query_at];
  const lastMs = Math.max(...times.map((time) => (time === undefined ? 0 : Date.parse(time))));
  return {
    never_used: connections === 0 && first_connection_at === undefined && first_query_at === undefined,
    abandoned: connections === 0 && nowMs - lastMs >= abandonedAfterSeconds * 1000,
  };
}

/** What the event of a branch's end keeps of it. */
export function lifeFacts(branch: BranchRecord, use: BranchUse | undefined): Facts {
  const { createdAt, requestedAt, createdBy, expiresAt } = branch;
  const facts = {
    requested_at: requestedAt,
    created_at: createdAt,
    created_by: createdBy?.token,
    created_by_name: createdBy?.name,
    first_wake_at: use?.firstWakeAt,
    first_connection_at: use?.firstConnectionAt,
    last_connection_at: use?.lastConnectionAt,
    first_query_at: use?.firstQueryAt,
    last_query_at: use?.lastQueryAt,
    slept_at: use?.sleptAt,
    wakes: use?.wakes ?? 0,
    expires_at: expiresAt,
  };
  return Object.fromEntries(Object.entries(facts).filter(([, fact]) => fact !== undefined)) as Facts;
}

/** Of a branch that is there. */
export function livingRecord(branch: Branch): BranchLifeRecord {
  const { activity } = branch;
  const life = {
    requested_at: branch.requested_at,
    created_by: branch.created_by,
    first_wake_at: activity.first_wake_at,
    first_connection_at: activity.first_connection_at,
    last_connection_at: activity.last_connection_at,
    first_query_at: activity.first_query_at,
    last_query_at: activity.last_query_at,
    slept_at: activity.slept_at,
    expires_at: branch.expires_at,
  };
  return {
    id: branch.id,
    name: branch.name,
    tenant: branch.tenant,
    state: branch.state,
    created_at: branch.created_at,
    wakes: activity.wakes,
    never_used: branch.never_used,
    ...known(life),
  };
}

/** Of one that is gone, by the event of its end; undefined for events that keep nothing of it, as earlier versions' do. */
export function recordOfEnd({
  event,
  branch: name,
  branch_id: id,
  tenant,
  time,
  facts = {},
}: BranchEvent): BranchLifeRecord | undefined {
  const { created_at, created_by, wakes = 0 } = facts;
  if (event !== 'deleted' || typeof created_at !== 'string') return undefined;
  const text = (fact: keyof typeof facts) => {
    const value = facts[fact];
    return value === undefined ? undefined : String(value);
  };
  const actor = (token: string, named: string) => {
    const of = text(token);
    return of === undefined ? undefined : { token: of, name: text(named) ?? of };
  };
  const life = {
    requested_at: text('requested_at'),
    created_by: created_by === undefined ? undefined : actor('created_by', 'created_by_name'),
    first_wake_at: text('first_wake_at'),
    first_connection_at: text('first_connection_at'),
    last_connection_at: text('last_connection_at'),
    first_query_at: text('first_query_at'),
    last_query_at: text('last_query_at'),
    slept_at: text('slept_at'),
    expires_at: text('expires_at'),
    destroyed_by_token: actor('token', 'token_name'),
  };
  return {
    id,
    name,
    tenant,
    state: 'deleted',
    created_at,
    wakes: Number(wakes),
    never_used: life.first_connection_at === undefined && life.first_query_at === undefined,
    destroyed_at: time,
    destroyed_by: asCause(facts.by),
    ...known(life),
  };
}

function asCause(by: unknown): NonNullable<BranchLifeRecord['destroyed_by']> {
  return by === 'cascade' || by === 'expiry' || by === 'load' || by === 'tenant' ? by : 'user';
}

function known<T extends object>(facts: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(facts).filter(([, fact]) => fact !== undefined)) as never;
}
