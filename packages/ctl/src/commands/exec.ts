import type { OffshootClient } from '@offshoot/client';
import { type Command, Option } from 'commander';
import type { Context } from '../context.js';
import { environmentOf, type ReachOptions, reachBranch, type Way } from '../reach-branch.js';
import { ProgramEnd, runProgram } from '../run-program.js';

interface ExecOptions extends ReachOptions {
  create?: true;
  from?: string;
  at?: string;
  destroy?: true;
}

/** `exec BRANCH -- COMMAND`, `psql BRANCH`. */
export function addExecCommands(program: Command, context: () => Context): void {
  addWayOptions(program.command('exec <branch> <command...>'))
    .description('run a command that finds a branch in DATABASE_URL')
    .option(
      '--create',
      'make the branch first, with a role of its own; it expires as one of branch create does',
    )
    .option('--from <parent>', 'with --create: the branch to start from (default: the only tenant)')
    .option('--at <place>', "with --create: where in the parent's history; see branch create --help")
    .option('--destroy', 'delete the branch afterwards, whatever came of the command')
    .addHelpText('after', execHelp)
    .action(async (branch: string, [command, ...args]: [string, ...string[]], options: ExecOptions) => {
      if (options.create === undefined && (options.from ?? options.at) !== undefined) {
        program.error('error: --from and --at say how a branch is made: give --create too', { exitCode: 2 });
      }
      throw new ProgramEnd(await exec(context(), branch, { command, args, options }));
    });
  addWayOptions(program.command('psql <branch> [arguments...]'))
    .description("connect psql to a branch; what stands behind -- are psql's own arguments")
    .option('--psql <path>', 'the program (default: psql, as it is found on the path)', 'psql')
    .addHelpText('after', psqlHelp)
    .action(async (branch: string, args: string[], options: ReachOptions & { psql: string }) => {
      const { psql, ...choice } = options;
      const way = await reachBranch(context().client(), branch, choice, process.env);
      const environment = environmentOf(branch, way, process.env);
      const call = { program: psql, args: [way.url, ...args], environment };
      throw new ProgramEnd(await runProgram(context(), call));
    });
}

function addWayOptions(command: Command): Command {
  return command
    .option('--database <name>', "default: the source's, as it was imported")
    .option('--user <role>', "default: the branch's own role, else the source's superuser")
    .addOption(
      new Option(
        '--via <way>',
        'socket: straight to the compute, without a password, on the machine of the page server only; gateway: with ' +
          "the role's password, which PGPASSWORD or a password file may hold (default: what can be had)",
      ).choices(['gateway', 'socket']),
    );
}

interface Execution {
  readonly command: string;
  readonly args: readonly string[];
  readonly options: ExecOptions;
}

async function exec(context: Context, branch: string, execution: Execution): Promise<number> {
  const { options } = execution;
  // What is begun here is seen through, so that nothing is left of it.
  const client = context.steadyClient();
  const way = options.create === undefined ? undefined : await create(client, branch, options);
  try {
    const reached = way ?? (await reachBranch(client, branch, options, process.env));
    const environment = environmentOf(branch, reached, process.env);
    return await runProgram(context, { program: execution.command, args: execution.args, environment });
  } finally {
    if (options.destroy === true) {
      await client.deleteBranch(branch);
      context.aside(`deleted branch ${branch}`);
    }
  }
}

/** Undefined: its role cannot be used as there is no gateway. */
async function create(
  client: OffshootClient,
  name: string,
  { from, at, via, user, database }: ExecOptions,
): Promise<Way | undefined> {
  const wantsRole = user === undefined && via !== 'socket';
  const { credentials } = await client.createBranch({
    name,
    ...(from === undefined ? {} : { from }),
    ...(at === undefined ? {} : { at }),
    ...(wantsRole ? { role: {} } : {}),
  });
  if (credentials?.connection_string === undefined) return undefined;
  const way = await client.connectionString(name, {
    via: 'gateway',
    user: credentials.role,
    ...(database === undefined ? {} : { database }),
  });
  const url = new URL(way.url);
  url.password = credentials.password;
  return { ...way, url: url.href, password: credentials.password };
}

const execHelp = `
The command gets DATABASE_URL, and PGHOST, PGPORT, PGDATABASE, PGUSER (PGPASSWORD where it is known) and
OFFSHOOT_BRANCH. Its exit code is that of exec; 127: it is not found.

Examples:
  pageserver-ctl exec try-1 -- npm test
  pageserver-ctl exec pr-42 --create --from prod --destroy -- sh -c 'npm run migrate && npm test'
  pageserver-ctl exec try-1 --database shop --user app --via gateway -- ./migrate.sh`;

const psqlHelp = `
Examples:
  pageserver-ctl psql try-1
  pageserver-ctl psql try-1 --database shop -- -c 'select count(*) from orders'
  pageserver-ctl psql try-1 -- -X -f migration.sql`;
