import { randomBytes } from 'node:crypto';
import type {
  Branch,
  Compute,
  ConnectVia,
  CreatedBranch,
  NewBranch,
  NewBranchRequest,
  Problem,
} from '@offshoot/client';
import { asOffshootError, OffshootError, TEMPLATE_NAME } from '@offshoot/types';
import { type Caller, expectAccess } from '../access/caller.js';
import { newPasswordNonce, passwordOfKey } from '../branch-role/password-of-key.js';
import type { BranchMaking } from '../branches.js';
import { controlError } from '../control-errors.js';
import type { ControlPlane } from '../control-plane.js';
import { toProblem } from '../problem.js';
import { branchOfKey, type CallKey, type KnownCall, writtenKey } from './keyed-calls.js';
import { refuseContradiction, settingsThatDiffer } from './same-branch.js';

export type Made = Omit<NewBranch, 'ignored_fields'>;

/** Makes branches for callers of the API, with a way to connect in the answer. */
export class BranchMaker {
  constructor(private readonly control: ControlPlane) {}

  create(caller: Caller, request: NewBranchRequest, key?: CallKey): Promise<Made> {
    return this.#make(caller, request, key);
  }

  /** As the first call was answered, with the branch as it is now. Throws `idempotency_key_spent`. */
  again(caller: Caller, request: NewBranchRequest, known: KnownCall): Promise<Made> {
    const branch = branchOfKey(known);
    const { passwordNonce, passwordSetAt, answer } = known.record;
    const isSame = passwordSetAt !== undefined && branch.role?.passwordSetAt === passwordSetAt;
    const credentials =
      isSame && passwordNonce !== undefined
        ? this.control.credentials(branch, passwordOfKey(passwordNonce, known.text))
        : undefined;
    const said = JSON.parse(answer) as Pick<CreatedBranch, 'at' | 'timings_ms'>;
    return this.#answer(
      caller,
      { ...said, branch: this.control.branch(branch.name), ...(credentials && { credentials }) },
      request,
      { created: true },
    );
  }

  /** The branch of that name, which is made when there is none. Throws `branch_differs`, `name_taken`. */
  async createOrGet(caller: Caller, name: string, request: NewBranchRequest): Promise<Made> {
    if (this.control.findBranch(name) !== undefined) return this.#found(caller, name, request);
    try {
      return await this.#make(caller, { ...request, name });
    } catch (error) {
      // Somebody else was quicker.
      const isTaken = error instanceof OffshootError && error.code === 'name_taken';
      if (!isTaken || this.control.findBranch(name) === undefined) throw error;
      return this.#found(caller, name, request);
    }
  }

  /** Of which nobody but a load can make use until it is whole. */
  createToLoad(caller: Caller, request: NewBranchRequest): Promise<Made> {
    return this.#make(caller, request, undefined, { loading: true });
  }

  async #found(caller: Caller, name: string, request: NewBranchRequest): Promise<Made> {
    const record = this.control.findBranch(name);
    if (record?.parent === undefined || caller.reach?.uses(record) === false) {
      throw controlError('branch_differs', `the name ${name} is that of something else`);
    }
    const branch = this.control.branch(name);
    refuseContradiction(branch, record.askedAt, request);
    return this.#answer(
      caller,
      {
        branch,
        at: { kind: 'lsn', lsn: branch.base_lsn },
        timings_ms: {},
      },
      request,
      { created: false, not_applied: settingsThatDiffer(branch, request) },
    );
  }

  async #make(
    caller: Caller,
    { wait, role, ...request }: NewBranchRequest,
    key?: CallKey,
    choice: Pick<BranchMaking, 'loading'> = {},
  ): Promise<Made> {
    const asked = role === undefined ? {} : role;
    refuseSuperuser(caller, asked?.rights);
    const from = request.from ?? this.#onlyParent(caller);
    const making: BranchMaking = {
      ...choice,
      by: caller.actor,
      expectParent: (parent) => expectAccess(caller, parent, 'see'),
      ...(key === undefined ? {} : { key: withPassword(key) }),
    };
    // Whoever may only branch what there is finds it, or not.
    const templateMs =
      from === TEMPLATE_NAME && caller.reach === undefined ? await this.control.ensureTemplate() : undefined;
    const made = await this.#withName(request.name, (name) =>
      this.control.createBranch(
        {
          ...request,
          name,
          ...(from === undefined ? {} : { from }),
          ...(asked === null ? {} : { role: asked }),
        },
        making,
      ),
    );
    const timings = templateMs === undefined ? {} : { template: templateMs };
    const created = { ...made, timings_ms: { ...timings, ...made.timings_ms } };
    return this.#answer(caller, created, { wait }, { created: true });
  }

  /** A name by chance may be taken after all. */
  async #withName(
    name: string | undefined,
    make: (name: string) => Promise<CreatedBranch>,
  ): Promise<CreatedBranch> {
    if (name !== undefined) return make(name);
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await make(`fork-${randomBytes(6).toString('hex')}`);
      } catch (error) {
        const isTaken = error instanceof OffshootError && error.code === 'name_taken';
        if (!isTaken || attempt === NAMES_TRIED_MAX) throw error;
      }
    }
  }

  #onlyParent({ reach, scope }: Caller): string | undefined {
    if (reach === undefined) return undefined;
    const parents = reach.parentNames();
    const [only] = parents;
    if (only !== undefined && parents.length === 1) return only;
    const names = parents.join(', ') || 'none of them is there any more';
    throw controlError(
      'parent_needed',
      `say which branch to start from with "from"; this token of scope ${scope} may branch: ${names}`,
    );
  }

  async #answer(
    caller: Caller,
    created: CreatedBranch,
    { wait }: Pick<NewBranchRequest, 'wait'>,
    facts: Pick<Made, 'created' | 'not_applied'>,
  ): Promise<Made> {
    const { name } = created.branch;
    const began = performance.now();
    const problem = wait === 'compute' ? await this.#warm(name) : undefined;
    const waited = wait === 'compute' ? { compute: performance.now() - began } : {};
    const branch = wait === 'compute' ? this.control.branch(name) : created.branch;
    const { data_age_ms } = created.at;
    const dsn = created.credentials?.connection_string ?? this.#dsnOf(caller, branch);
    return {
      ...created,
      branch,
      ...facts,
      timings_ms: { ...created.timings_ms, ...waited },
      id: branch.id,
      name: branch.name,
      ...(branch.parent === undefined ? {} : { parent: branch.parent }),
      base_lsn: branch.base_lsn,
      ...(data_age_ms === undefined ? {} : { data_age_ms }),
      ...(branch.expires_at === undefined ? {} : { expires_at: branch.expires_at }),
      ...(dsn === undefined ? {} : { dsn }),
      ready: branch.compute === 'running' ? 'warm' : 'on_connect',
      ...(problem === undefined ? {} : { compute_problem: problem }),
    };
  }

  async #warm(name: string): Promise<Problem | undefined> {
    try {
      await this.control.startCompute(name);
      return undefined;
    } catch (error) {
      return toProblem(asOffshootError(error));
    }
  }

  /** Without a gateway only a compute that runs can be connected to. */
  #dsnOf(caller: Caller, { name, role }: Branch): string | undefined {
    const via = wayFor(caller, undefined);
    try {
      return this.control.connectionString(name, {
        ...(role === undefined ? {} : { user: role.name }),
        ...(via === undefined ? {} : { via }),
      }).url;
    } catch (error) {
      // Without a gateway there is no way for whoever cannot be told a socket, or before the compute runs.
      const { code } = asOffshootError(error);
      if (code === 'gateway_off' || code === 'compute_not_running' || code === 'compute_starting')
        return undefined;
      throw error;
    }
  }
}

const NAMES_TRIED_MAX = 3;

/** The password of a branch's own role is made of the key and of chance that is written down with it. */
function withPassword(key: CallKey): NonNullable<BranchMaking['key']> {
  const passwordNonce = newPasswordNonce();
  return { ...writtenKey(key), passwordNonce, password: passwordOfKey(passwordNonce, key.text) };
}

/** What runs programs as the OS user of every compute is not for whom only some branches are. */
export function refuseSuperuser({ reach }: Caller, rights: string | undefined): void {
  if (reach === undefined || rights !== 'superuser') return;
  throw controlError('forbidden', 'a token of scope branch makes no superusers', {
    details: { action: 'ask for rights owner, or for none: owner is the default' },
  });
}

/** A compute as its caller may see it: where it is on this machine is for whoever may do everything. */
export function computeFor<C extends Compute>({ scope }: Caller, compute: C) {
  if (scope === 'admin') return compute;
  const { socket_directory: _socket, address: _address, log_file: _log, ...shown } = compute;
  return shown;
}

/** A compute's socket asks for no password: whoever may not do everything goes by the gateway. Throws `forbidden`. */
export function wayFor({ scope }: Caller, via: ConnectVia | undefined): ConnectVia | undefined {
  if (scope === 'admin') return via;
  if (via !== 'socket') return 'gateway';
  throw controlError('forbidden', `a token of scope ${scope} is told no sockets`, {
    details: { action: 'leave via out: the gateway is the way for this token' },
  });
}
