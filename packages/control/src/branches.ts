import type {
  Branch,
  CreateBranchRequest,
  CreatedBranch,
  DeletedBranch,
  UpdateBranchRequest,
} from '@offshoot/client';
import type {
  Actor,
  BranchRecord,
  NewBranchChoice,
  NewIdempotencyKey,
  PageServer,
} from '@offshoot/pageserver';
import { type BranchName, formatLsn, parseBranchName } from '@offshoot/types';
import { branchDeleted, refuseLoading, unlessChanged } from './branch-errors.js';
import { type BranchLimits, settingsOf } from './branch-limits.js';
import { findBranchPoint, parentOf, parseBranchAt } from './branch-point/index.js';
import { branchPointView } from './branch-point-view.js';
import { newRole } from './branch-role/new-role.js';
import type { TakenRoleNames } from './branch-role/taken-role-names.js';
import type { BranchViews } from './branch-views.js';
import type { ComputeBook } from './compute-book.js';
import type { Connections } from './connections.js';
import { controlError } from './control-errors.js';
import { actorFacts, type BranchEvents } from './events/branch-events.js';
import type { BranchDeletion } from './lifecycle/branch-deletion.js';
import { branchChange, newBranchSettings } from './lifecycle/life-choice.js';
import type { Clock } from './sleep/clock.js';

/** What the calls on branches work with. */
export interface BranchesPlace {
  readonly pageServer: PageServer;
  readonly computes: ComputeBook;
  readonly views: BranchViews;
  readonly limits: BranchLimits;
  readonly connections: Connections;
  readonly deletion: BranchDeletion;
  readonly roleNames: Pick<TakenRoleNames, 'refuse'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly events: BranchEvents;
  /** Branches that a tenant may have; 0: any number. */
  readonly branchesMax: number;
  /** How long a branch lives when nothing is said of that, in seconds; 0: for ever. */
  readonly defaultTtlSeconds: number;
  /** Throws `quota_reached` when the tenant has no room for more. */
  refuseMore(tenant: BranchRecord['tenant']): Promise<void>;
  /** It has another policy by now, or none. */
  onSnapshots(branch: BranchRecord): void;
  /** A write quota may have changed. */
  checkQuotas(): void;
  /** When it expires may have changed. */
  checkExpiry(): void;
}

/** Who makes a branch, and what becomes known with it. */
export interface BranchMaking {
  readonly by?: Actor | undefined;
  /** A dump is to be loaded into it. */
  readonly loading?: true | undefined;
  /** Throws when whoever makes it may not branch that one. */
  readonly expectParent?: ((parent: BranchRecord) => void) | undefined;
  readonly key?: (Omit<NewIdempotencyKey, 'answer'> & { readonly password: string }) | undefined;
}

/** Making, changing and deleting branches. */
export class Branches {
  constructor(private readonly place: BranchesPlace) {}

  get #catalog() {
    return this.place.pageServer.catalog;
  }

  async create(request: CreateBranchRequest, making: BranchMaking = {}): Promise<CreatedBranch> {
    const { pageServer, computes, limits, connections, views } = this.place;
    const began = performance.now();
    const requestedAt = new Date(this.place.clock.now()).toISOString();
    const name = parseBranchName(request.name);
    const parent = request.from === undefined ? this.#onlyTenant() : parseBranchName(request.from);
    this.#catalog.refuseTakenName(name);
    const made =
      request.role === undefined ? undefined : await newRole(name, request.role, making.key?.password);
    const settings = newBranchSettings(request, this.place.clock.now(), this.place.defaultTtlSeconds);
    limits.expectSize(settings, {});
    const asked = parseBranchAt(request.at ?? 'latest', Date.now());
    const from = this.#catalog.branchNamed(parent);
    making.expectParent?.(from);
    refuseLoading(from);
    this.#catalog.refuseExpired(from, new Date(this.place.clock.now()));
    // Before anything is waited for; the transaction looks again.
    this.#catalog.refuseBranchOver(from.tenant, this.place.branchesMax);
    await this.place.refuseMore(from.tenant);
    // What a compute has acknowledged is there, as far as its maker can tell.
    const place = asked.kind === 'latest' && from.parent !== undefined ? ({ kind: 'now' } as const) : asked;
    const history = parentOf(pageServer, computes, from, request.timeout_ms);
    const point = await unlessChanged(this.#catalog, from, findBranchPoint(history, place));
    // Another branch may have its name by now; the point is one of this one's history.
    const now = this.#catalog.findBranch(from.id);
    if (now === undefined) throw branchDeleted(from.name);
    const start = { tenant: from.tenant, timeline: history.timelineOf(point), lsn: point.lsn };
    await this.place.roleNames.refuse({ branch: name, ...start }, request.role?.name);
    const settled = performance.now();
    const at = branchPointView(asked, point);
    const { branch } = await pageServer.createBranch(name, now.name, point.lsn, {
      requestedAt,
      timeline: start.timeline,
      branchesMax: this.place.branchesMax,
      ...settings,
      ...(made === undefined ? {} : { role: made.role }),
      ...(making.loading === undefined ? {} : { loading: making.loading }),
      ...madeBy(request, making, { at, timings_ms: { settle: settled - began } }),
    });
    this.place.events.tell('created', branch, {
      ...actorFacts(making.by),
      from: from.name,
      at: formatLsn(point.lsn),
      ...(branch.expiresAt === undefined ? {} : { expires_at: branch.expiresAt }),
    });
    this.place.checkExpiry();
    if (branch.snapshots !== undefined) this.place.onSnapshots(branch);
    const timings = { settle: settled - began, catalog: performance.now() - settled };
    return {
      branch: views.one(branch),
      at,
      timings_ms: timings,
      ...(made === undefined || branch.role === undefined
        ? {}
        : { credentials: connections.withPassword(branch, branch.role, made.password) }),
    };
  }

  /** Durability and memory hold for computes that start from then on, the rest at once. */
  async update(name: string, request: UpdateBranchRequest): Promise<Branch> {
    const { computes, limits, views } = this.place;
    const before = this.#catalog.branchNamed(parseBranchName(name));
    const { id } = before;
    const change = branchChange(request, this.place.clock.now());
    limits.expectSize(settingsOf(request), before);
    const branch = await this.#catalog.updateBranch(id, change);
    this.place.events.tell('changed', branch, {
      what: Object.keys(request).join(','),
      expires_at: branch.expiresAt ?? 'never',
    });
    this.place.checkExpiry();
    if (request.snapshots !== undefined) this.place.onSnapshots(branch);
    computes.retime(id);
    computes.alive(id)?.running.resize(limits.sizeOf(branch));
    this.place.checkQuotas();
    return views.one(branch);
  }

  delete(name: string, options: { recursive?: boolean; by?: Actor } = {}): Promise<DeletedBranch> {
    return this.place.deletion.delete(this.#catalog.branchNamed(parseBranchName(name)), options);
  }

  /** Its connections stay, and its branches know it by its id. */
  async rename(name: string, to: string, key?: Omit<NewIdempotencyKey, 'answer'>): Promise<Branch> {
    const { id } = this.#catalog.branchNamed(parseBranchName(name));
    const known = key && { ...key, answer: '' };
    const branch = await this.#catalog.renameBranch(id, parseBranchName(to), known);
    this.place.computes.rename(branch);
    this.place.events.tell('renamed', branch, { before: name });
    return this.place.views.one(branch);
  }

  #onlyTenant(): BranchName {
    const tenants = this.#catalog.tenants().filter(({ state, template }) => state === 'active' && !template);
    const [only] = tenants;
    if (only === undefined || tenants.length > 1) {
      const names = tenants.map(({ name }) => name).join(', ') || 'none is imported yet';
      throw controlError('parent_needed', `say which branch to start from with "from"; tenants: ${names}`);
    }
    return parseBranchName(only.name);
  }
}

/** What is written down of how a branch was made. */
function madeBy(
  { at }: CreateBranchRequest,
  { by, key }: BranchMaking,
  answer: Pick<CreatedBranch, 'at' | 'timings_ms'>,
): Pick<NewBranchChoice, 'createdBy' | 'askedAt' | 'idempotencyKey'> {
  return {
    ...(by === undefined ? {} : { createdBy: by }),
    ...(at === undefined ? {} : { askedAt: at }),
    ...(key === undefined ? {} : { idempotencyKey: knownKey(key, JSON.stringify(answer)) }),
  };
}

/** Without the password. */
function knownKey(
  { password: _, ...key }: NonNullable<BranchMaking['key']>,
  answer: string,
): NewIdempotencyKey {
  return { ...key, answer };
}
