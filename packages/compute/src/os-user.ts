import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { computeError } from './compute-errors.js';

/** The user that runs Postgres' processes and owns their files. */
export interface OsUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** `same`: whoever runs this program. `other`: this program is root and gives its rights up for Postgres. */
  readonly kind: 'same' | 'other';
}

/** Tried in order when this program is root and no user was chosen. */
const defaultNames = ['postgres', 'nobody'] as const;

/** What the choice of the user depends on; a test can hold it. */
export interface OsAccounts {
  readonly uid: number;
  readonly gid: number;
  /** Undefined: there is no such user. */
  find(name: string): Promise<Account | undefined>;
  /** The name of a uid, or the uid as text. */
  nameOf(uid: number): Promise<string>;
}

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Who runs Postgres: this program's user, or, as Postgres refuses to run as root, for root the user `chosen`, else
 * `postgres`, else `nobody`. Throws `os_user_unsuitable`.
 */
export async function resolveOsUser(chosen?: string, accounts: OsAccounts = osAccounts()): Promise<OsUser> {
  const { uid, gid } = accounts;
  if (uid !== 0) {
    const name = await accounts.nameOf(uid);
    if (chosen !== undefined && chosen !== name) {
      throw unsuitable(
        `Postgres cannot run as ${chosen}: only root can start processes of another user, and this is ${name}`,
        chosen,
      );
    }
    return { name, uid, gid, kind: 'same' };
  }
  for (const name of chosen === undefined ? defaultNames : [chosen]) {
    const account = await accounts.find(name);
    if (account?.uid === 0) {
      throw unsuitable(`${name} has uid 0; Postgres refuses to run as root`, name);
    }
    if (account !== undefined) {
      return { ...account, kind: 'other' };
    }
  }
  const missing = chosen ?? defaultNames.join(' nor ');
  throw unsuitable(`no OS user ${missing} to run Postgres as; name another with --os-user`, missing);
}

function unsuitable(message: string, user: string) {
  return computeError('os_user_unsuitable', message, { details: { user } });
}

/** The options of `child_process` that start a process as this user. */
export function spawnAs(user: OsUser): { uid?: number; gid?: number } {
  return user.kind === 'same' ? {} : { uid: user.uid, gid: user.gid };
}

/** One user from the text of /etc/passwd. */
export function findInPasswd(text: string, name: string): Account | undefined {
  const fields = text
    .split('\n')
    .map((line) => line.split(':'))
    .find((line) => line[0] === name && line.length >= 4);
  const [uid, gid] = [Number(fields?.[2] || Number.NaN), Number(fields?.[3] || Number.NaN)];
  return Number.isSafeInteger(uid) && Number.isSafeInteger(gid) ? { name, uid, gid } : undefined;
}

/** This process and this machine's users. */
export function osAccounts(): OsAccounts {
  return {
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    find: async (name) =>
      findInPasswd(await readFile('/etc/passwd', 'utf8').catch(() => ''), name) ?? (await findWithId(name)),
    nameOf: async (uid) => (await id(['-nu', String(uid)])) ?? String(uid),
  };
}

/** Users that come from elsewhere than /etc/passwd, such as a directory service. */
async function findWithId(name: string): Promise<Account | undefined> {
  const [uid, gid] = [await id(['-u', '--', name]), await id(['-g', '--', name])];
  return uid === undefined || gid === undefined ? undefined : { name, uid: Number(uid), gid: Number(gid) };
}

async function id(args: string[]): Promise<string | undefined> {
  try {
    return (await promisify(execFile)('id', args, { timeout: 10_000 })).stdout.trim();
  } catch {
    return undefined;
  }
}
