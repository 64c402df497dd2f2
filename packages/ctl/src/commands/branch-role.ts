import type { Branch, BranchCredentials, Credentials, RoleRequest } from '@offshoot/client';
import { type Command, Option } from 'commander';
import { type Context, show } from '../context.js';

/** `branch role create|rotate|delete`. */
export function addRoleCommands(branch: Command, context: () => Context): void {
  const role = branch
    .command('role')
    .description("a branch's own role: a name and password that only this branch takes");
  role
    .command('create <branch> [role]')
    .description(
      'give a branch a role of its own (default: one named after the branch), and print its password, this once',
    )
    .addOption(superuserOption('--superuser'))
    .addHelpText('after', rightsHelp)
    .action(async (name: string, roleName: string | undefined, { superuser }: { superuser?: true }) => {
      const request = roleRequest(roleName, superuser);
      show(context(), await context().client().createRole(name, request), told('created'));
    });
  role
    .command('rotate <branch>')
    .description(
      'make a new password for the role and print it, this once; connections with the old one are refused from then on',
    )
    .option('--end-sessions', 'also end the sessions that the role has; else they go on')
    .action(async (name: string, { endSessions }: { endSessions?: true }) => {
      const request = { sessions: endSessions === undefined ? ('keep' as const) : ('end' as const) };
      show(context(), await context().client().rotatePassword(name, request), told('new password for'));
    });
  role
    .command('delete <branch>')
    .description(
      'let nobody log in as the role any more, and end its sessions; what it made on the branch stays',
    )
    .action(async (name: string) => {
      show(context(), await context().client().deleteRole(name), gone);
    });
}

const rightsHelp = `
The role owns what superusers own on production, and is a member of production's other roles: it can read, write and
migrate everything in the branch's databases, and make databases. It cannot read passwords of production's, make roles,
or leave the database. A superuser can do all of that: see "Roles of branches" in docs/operations.md first.`;

export function superuserOption(flag: string): Option {
  return new Option(
    flag,
    'make the role a superuser: it can also read production’s password verifiers, and run programs as the OS user that ' +
      'runs all computes',
  );
}

export function roleRequest(name: string | undefined, superuser: true | undefined): RoleRequest {
  return {
    ...(name === undefined ? {} : { name }),
    ...(superuser === undefined ? {} : { rights: 'superuser' }),
  };
}

/** The password is told in no other place. */
export function credentialLines({ role, password, connection_string: url }: Credentials): string[] {
  return [
    `  role         ${role}`,
    `  password     ${password}  (not shown again; a new one: pageserver-ctl branch role rotate)`,
    ...(url === undefined ? [] : [`  connect      ${url}`]),
  ];
}

function told(what: string): (made: BranchCredentials) => string {
  return ({ branch, credentials }) =>
    [`${what} role ${credentials.role} of branch ${branch.name}`, ...credentialLines(credentials)].join('\n');
}

function gone({ name }: Branch): string {
  return `branch ${name} has no role of its own any more`;
}
