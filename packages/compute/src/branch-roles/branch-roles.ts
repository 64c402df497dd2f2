import type { OffshootError } from '@offshoot/types';
import type pg from 'pg';
import type { ConnectAs } from '../compute-driver.js';
import { computeError } from '../compute-errors.js';
import { type SocketAddress, withOwnSession } from '../own-session.js';
import { withSuperuser } from '../superuser-session.js';
import { ownershipBlock } from './ownership.js';
import { rollBackRoleChanges } from './prepared-transactions.js';
import { DATABASES_BEYOND, databasesToOwn, ROLES_TO_JOIN } from './rights.js';

/**
 * - `owner`: what owners of databases, schemas, tables and functions may, with all that is not production's secret.
 * - `superuser`: everything, programs of the OS user included.
 */
export type BranchRoleRights = 'owner' | 'superuser';

/** A role that a branch has of its own, as it shall be there. */
export interface BranchRole {
  readonly name: string;
  /** SCRAM-SHA-256, as pg_authid has it. */
  readonly verifier: string;
  readonly rights: BranchRoleRights;
}

/** What roles of branches there shall be on one branch: its own at most. Those of others, in its data, may not log in. */
export interface BranchRoles {
  /** The branch's id: marks which roles are its own. */
  readonly branch: string;
  readonly own?: BranchRole | undefined;
}

/** What becomes of sessions of roles whose password changes; those of roles that may not log in any more end anyway. */
export type OpenSessions = 'keep' | 'end';

/** A role as the compute has it. */
interface Found {
  readonly name: string;
  readonly canLogin: boolean;
  readonly superuser: boolean;
  readonly verifier: string | null;
  /** The role's comment. Whoever may not make roles cannot change it. */
  readonly mark: string | null;
}

const MARK = 'offshoot branch ';
/** Behind the mark of a role that owns in all databases what it should. */
const SETTLED = ' settled';

/** Whether a role's comment says that it is one that a branch has of its own, whichever. */
export function isMarkOfBranch(comment: string | null | undefined): boolean {
  return comment?.startsWith(MARK) === true;
}

export function roleNameTaken(role: string): OffshootError {
  return computeError(
    'role_name_taken',
    `the branch has a role ${role} already, which came with its data and is not made over`,
    {
      details: {
        role,
        action:
          "give the branch's own role another name, or none: one is made up then. A role that it has already is removed " +
          'first: pageserver-ctl branch role delete BRANCH',
      },
    },
  );
}

const FOUND = `SELECT a.rolname AS name, a.rolcanlogin AS "canLogin", a.rolsuper AS superuser, a.rolpassword AS verifier,
    s.description AS mark
  FROM pg_authid a LEFT JOIN pg_shdescription s ON s.objoid = a.oid AND s.classoid = 'pg_authid'::regclass
  WHERE a.rolname = $1 OR starts_with(s.description, '${MARK}')`;

const END_SESSIONS = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE usename = ANY($1) AND pid <> pg_backend_pid()`;

/**
 * Neither a password nor what it is compared with gets into the compute's log, and what is committed is durable, whatever the
 * database's settings say.
 */
const QUIET = `SET log_statement = none; SET log_min_duration_statement = -1; SET log_min_duration_sample = -1;
  SET log_min_error_statement = panic; SET lock_timeout = '10s';
  SET synchronous_commit = on`;

/**
 * Makes a branch's roles what they shall be: its own is there, with its password and rights; roles of other branches,
 * which came with the data, cannot log in. May be repeated, and goes on where it was cut short. Throws
 * `role_name_taken`, `compute_without_superuser`, what Postgres says, and the signal's reason.
 */
export async function applyBranchRoles(
  address: SocketAddress,
  as: ConnectAs,
  roles: BranchRoles,
  signal: AbortSignal,
  sessions: OpenSessions = 'keep',
): Promise<void> {
  await withSuperuser(address, as, signal, async (client, user) => {
    await client.query(QUIET);
    await rollBackRoleChanges(client, address, user, signal);
    const settled = await inTransaction(client, () => applyInCluster(client, roles));
    if (roles.own !== undefined && settled === 'not yet') {
      for (const database of await databasesToOwn(client)) {
        await withOwnSession(address, { user, database }, signal, async (there) => {
          await there.query(QUIET);
          await there.query(ownershipBlock(there.escapeLiteral(roles.own?.name ?? '')));
        });
      }
      await client.query(comment(client, roles.own.name, `${MARK}${roles.branch}${SETTLED}`));
    }
    const shut = (await found(client, roles)).filter(({ canLogin }) => !canLogin).map(({ name }) => name);
    const changed = sessions === 'end' && roles.own !== undefined ? [roles.own.name] : [];
    if (shut.length + changed.length > 0) await client.query(END_SESSIONS, [[...shut, ...changed]]);
  });
}

/** What all databases share. Answers whether the role owns what it should in each of them. */
async function applyInCluster(client: pg.Client, roles: BranchRoles): Promise<'settled' | 'not yet'> {
  const { own } = roles;
  const all = await found(client, roles);
  for (const { name, canLogin, superuser, verifier, mark } of all) {
    // A role that is in the way of ours has no mark, and is refused below.
    if (name === own?.name || !(canLogin || superuser || verifier !== null)) continue;
    await client.query(`ALTER ROLE ${client.escapeIdentifier(name)} NOLOGIN NOSUPERUSER PASSWORD NULL`);
    // Should it be made again, it gets what has come meanwhile.
    if (mark?.endsWith(SETTLED) === true) {
      await client.query(comment(client, name, mark.slice(0, -SETTLED.length)));
    }
  }
  if (own === undefined) return 'settled';
  const former = all.find(({ name }) => name === own.name);
  const isOurs = former?.mark?.startsWith(`${MARK}${roles.branch}`) === true;
  await applyOwn(client, own, former, isOurs ? 'own' : 'of another branch');
  if (!isOurs) await client.query(comment(client, own.name, `${MARK}${roles.branch}`));
  if (own.rights === 'superuser') return 'settled';
  for (const sql of [ROLES_TO_JOIN, DATABASES_BEYOND]) {
    const { rows } = await client.query<{ statement: string }>(sql, [own.name]);
    for (const { statement } of rows) await client.query(statement);
  }
  return former?.mark === `${MARK}${roles.branch}${SETTLED}` ? 'settled' : 'not yet';
}

async function applyOwn(
  client: pg.Client,
  own: BranchRole,
  former: Found | undefined,
  whose: 'own' | 'of another branch',
): Promise<void> {
  const name = client.escapeIdentifier(own.name);
  const superuser = own.rights === 'superuser' ? 'SUPERUSER' : 'NOSUPERUSER';
  const login = `LOGIN ${superuser} PASSWORD ${client.escapeLiteral(own.verifier)}`;
  const attributes = `${login} INHERIT CREATEDB BYPASSRLS NOCREATEROLE NOREPLICATION CONNECTION LIMIT -1 VALID UNTIL 'infinity'`;
  if (former === undefined) {
    await client.query(`CREATE ROLE ${name} ${attributes}`);
  } else if (!isMarkOfBranch(former.mark)) {
    throw roleNameTaken(own.name);
  } else if (whose === 'of another branch') {
    await client.query(`ALTER ROLE ${name} ${attributes}`);
  } else if (
    !former.canLogin ||
    former.verifier !== own.verifier ||
    former.superuser !== (own.rights === 'superuser')
  ) {
    await client.query(`ALTER ROLE ${name} ${login}`);
  }
}

async function found(client: pg.Client, { own }: BranchRoles): Promise<Found[]> {
  const { rows } = await client.query<Found>(FOUND, [own?.name ?? null]);
  return rows;
}

function comment(client: pg.Client, role: string, mark: string): string {
  return `COMMENT ON ROLE ${client.escapeIdentifier(role)} IS ${client.escapeLiteral(mark)}`;
}

async function inTransaction<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  await client.query('BEGIN');
  const result = await work();
  // What is thrown before ends the session, and with it the transaction.
  await client.query('COMMIT');
  return result;
}
