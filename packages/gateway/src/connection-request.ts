import { type BranchName, parseBranchName } from '@offshoot/types';
import { type StartupMessage, startupMessage } from '@offshoot/wire';
import { gatewayError } from './gateway-errors.js';
import { BRANCH_SETTING, takeBranchSetting } from './startup-options.js';

/** What a client's start-up packet asks for. */
export interface ConnectionRequest {
  readonly branch: BranchName;
  /** Absent where it is left to Postgres, and from replication connections that name none. */
  readonly database?: string | undefined;
  /** The packet for the compute: the client's, without the branch. */
  readonly startup: Buffer;
}

/** Whom the client meant to reach in TLS, and below which domain a host name is a branch's. */
export interface ServerName {
  readonly name: string | undefined;
  readonly domain: string | undefined;
}

/** A branch's name, and where it was read. */
interface Named {
  readonly branch: string;
  readonly where: string;
}

/**
 * Finds the branch that a start-up packet names: behind the last `@` of the database, in the setting
 * `offshoot.branch`, or by the host name in TLS. Throws `branch_not_named`, `branch_names_differ`, `user_not_named`,
 * `branch_name_impossible`.
 */
export function connectionRequest(message: StartupMessage, serverName: ServerName): ConnectionRequest {
  const named: Named[] = [];
  const parameters = message.parameters.flatMap(([name, value]): [string, string][] => {
    switch (name) {
      case 'database':
        return [[name, takeFromDatabase(value, named)]];
      case 'options':
        return takeFromOptions(value, named).map((rest) => [name, rest]);
      case BRANCH_SETTING:
        named.push({ branch: value, where: `the parameter ${BRANCH_SETTING}` });
        return [];
      default:
        return [[name, value]];
    }
  });
  const byHost = branchOfHost(serverName);
  if (byHost !== undefined) {
    named.push({ branch: byHost, where: `the host name ${serverName.name}` });
  }
  const branch = theOne(named);
  requireUser(message);
  const database = parameters.find(([name]) => name === 'database')?.[1];
  return { branch, database, startup: startupMessage({ ...message, parameters }) };
}

/** From drivers that do not decode a URL's path (node-postgres, postgres.js). */
const UNDECODED_AT = '%40';

/** Only a database that is named names a branch: where it is left out, Postgres takes the user's name as it stands. */
function takeFromDatabase(value: string, named: Named[]): string {
  const mark = value.includes('@') ? '@' : UNDECODED_AT;
  const at = value.lastIndexOf(mark);
  if (at < 0) {
    return value;
  }
  named.push({ branch: value.slice(at + mark.length), where: `the database ${quote(value)}` });
  return value.slice(0, at);
}

/** No options at all when there were no others. */
function takeFromOptions(value: string, named: Named[]): string[] {
  const { branches, rest } = takeBranchSetting(value);
  for (const branch of branches) {
    named.push({ branch: branch ?? '', where: `the option ${BRANCH_SETTING}` });
  }
  return rest === '' && branches.length > 0 ? [] : [rest];
}

/** What stands before the domain; a branch's name may have dots in it. */
function branchOfHost({ name, domain }: ServerName): string | undefined {
  if (name === undefined || domain === undefined) {
    return undefined;
  }
  const host = canonical(name);
  const behind = `.${canonical(domain)}`;
  return host.endsWith(behind) ? host.slice(0, -behind.length) : undefined;
}

/** Host names have no case, and may end in a dot. */
function canonical(host: string): string {
  return host.toLowerCase().replace(/\.$/, '');
}

function theOne(named: readonly Named[]): BranchName {
  const [first, ...others] = named;
  if (first === undefined) {
    throw gatewayError('branch_not_named', 'the connection names no branch');
  }
  const empty = named.find(({ branch }) => branch === '');
  if (empty !== undefined) {
    throw gatewayError('branch_not_named', `${empty.where} names an empty branch`);
  }
  const other = others.find(({ branch }) => branch !== first.branch);
  if (other !== undefined) {
    const names = [first, other].map(({ branch, where }) => `${where} names branch ${quote(branch)}`);
    throw gatewayError('branch_names_differ', names.join(', '));
  }
  return possibleName(readable(first.branch));
}

/** As any other that does not exist. */
function possibleName(name: string): BranchName {
  try {
    return parseBranchName(name);
  } catch (cause) {
    const words = cause instanceof Error ? cause.message : String(cause);
    throw gatewayError('branch_name_impossible', `there is no such branch: ${words}`, { cause });
  }
}

/** Postgres would refuse it too, but the branch would be woken for that. */
function requireUser({ parameters }: StartupMessage): void {
  if (!parameters.some(([name, value]) => name === 'user' && value !== '')) {
    throw gatewayError('user_not_named', 'the start-up packet names no user');
  }
}

const QUOTED_MAX = 80;

function quote(bytes: string): string {
  const text = readable(bytes);
  return JSON.stringify(text.length > QUOTED_MAX ? `${text.slice(0, QUOTED_MAX)}…` : text);
}

/** What is told in an error is UTF-8, as far as the client's bytes are. */
function readable(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString();
}
