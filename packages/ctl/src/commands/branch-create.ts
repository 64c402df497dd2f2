import type { CreateBranchRequest, CreatedBranch, UpdateBranchRequest } from '@offshoot/client';
import type { Command } from 'commander';
import { type Context, show } from '../context.js';
import { addLimitOptions, type LimitOptions, limitsOf } from './branch-limits.js';
import { credentialLines, roleRequest, superuserOption } from './branch-role.js';
import { durabilityOption, idleTimeoutOption } from './compute-options.js';
import { addLifeOptions, type LifeOptions, lifeOf, parseTimeout } from './life-options.js';
import { NoUrlError } from './no-url-error.js';

const WHAT = 'branch a tenant or another branch; one durable catalog entry, whatever the size';

/** `branch create`, and the other words that people have for it. */
export function addCreateCommands(program: Command, branch: Command, context: () => Context): void {
  describeCreate(branch.command('create <name>'), context).description(WHAT);
  for (const word of ['fork', 'clone']) {
    describeCreate(program.command(`${word} <name>`), context).description('the same as branch create');
  }
}

function describeCreate(command: Command, context: () => Context): Command {
  return addLifeOptions(addLimitOptions(command))
    .option('--from <parent>', 'the branch to start from (default: the only tenant)')
    .option(
      '--at <place>',
      "where in the parent's history: latest (default), now, an LSN, a time, how long ago, or @CHECKPOINT; see below",
    )
    .option(
      '--timeout <seconds>',
      'how long to wait for what production has by now (default: the setting catchUpTimeoutMs, 30 s)',
      parseTimeout,
    )
    .addOption(durabilityOption())
    .addOption(idleTimeoutOption())
    .option(
      '--role [role]',
      'give it a role of its own (default: one named after the branch), and print its password, this once',
    )
    .addOption(superuserOption('--role-superuser'))
    .option('--print-url', 'print nothing but a URL that works at once, by a role of its own')
    .addHelpText('after', placesHelp)
    .action(async (name: string, options: CreateOptions) => {
      const made = await context().client().createBranch(requestOf(name, options));
      const text = (answer: CreatedBranch) => created(answer, saysHowLong(options));
      show(context(), made, options.printUrl === true ? urlOf : text);
    });
}

function requestOf(name: string, options: CreateOptions): CreateBranchRequest {
  const { from, at, durability, timeout, idleTimeout } = options;
  return {
    name,
    ...(from === undefined ? {} : { from }),
    ...(at === undefined ? {} : { at }),
    ...(durability === undefined ? {} : { durability }),
    ...(timeout === undefined ? {} : { timeout_ms: timeout }),
    ...(idleTimeout === undefined ? {} : { idle_timeout: idleTimeout }),
    ...limitsOf(options),
    ...lifeOf(options),
    ...ownRole(options),
  };
}

type CreateOptions = LifeOptions &
  Pick<CreateBranchRequest, 'from' | 'at'> &
  Pick<UpdateBranchRequest, 'durability'> &
  LimitOptions & {
    idleTimeout?: number;
    timeout?: number;
    role?: string | true;
    roleSuperuser?: true;
    printUrl?: true;
  };

/** A URL that works has a password, which only a new role's is known of. */
function ownRole({
  role,
  roleSuperuser: superuser,
  printUrl,
}: CreateOptions): Pick<CreateBranchRequest, 'role'> {
  if (role === undefined && superuser === undefined && printUrl === undefined) return {};
  return { role: roleRequest(role === true ? undefined : role, superuser) };
}

function urlOf({ branch, credentials }: CreatedBranch): string {
  if (credentials?.connection_string !== undefined) return credentials.connection_string;
  throw new NoUrlError(branch.name);
}

function saysHowLong({ ttl, expiresAt }: LifeOptions): boolean {
  return ttl !== undefined || expiresAt !== undefined;
}

/** `wasSaid`: when it expires is as it was asked for. */
function created({ branch, at, timings_ms, credentials }: CreatedBranch, wasSaid: boolean): string {
  const took = Object.values(timings_ms).reduce((sum, ms) => sum + ms, 0);
  const lines = [
    `created branch ${branch.name} from ${branch.parent ?? branch.tenant} at ${branch.base_lsn} in ${took.toFixed(1)} ms`,
  ];
  if (at.time !== undefined) {
    const zone = at.assumed_zone === undefined ? '' : ` (no zone was given: taken as ${at.assumed_zone})`;
    lines.push(`  as of        ${at.time}${zone}`);
  }
  if (at.last_commit_time !== undefined) lines.push(`  last commit  ${at.last_commit_time}`);
  if (at.data_age_ms !== undefined) lines.push(`  data age     ${(at.data_age_ms / 1000).toFixed(1)} s`);
  if (branch.expires_at !== undefined) {
    const how = wasSaid ? '' : ` by default; to keep it: pageserver-ctl branch expire ${branch.name} --never`;
    lines.push(`  expires      ${branch.expires_at}${how}`);
  }
  if (credentials !== undefined) lines.push(...credentialLines(credentials));
  return lines.join('\n');
}

const placesHelp = `
Where a branch starts (--at):
  latest                        what the page server has of production, moments old (default); of another branch, all
                                that was committed there, also while its compute goes on writing
  now                           all that production has committed by the time of the call: it is asked and waited for
  0/16B5A50                     an LSN within what can be read
  2026-11-21T12:00:00Z, "2026-11-21 12:00:00+01", "2026-11-21 12:00"
                                a time by production's clock (without a zone: UTC): what Postgres' recovery to that
                                time has; a commit at exactly that time is in
  -5m, -90s, -1h30m, -2d        so long ago
  @before-backfill, @newest     a checkpoint of the parent's, or its newest one; see checkpoint create --help

The answer says which LSN that is, the time of the last commit in it, and how old the data is.

Examples:
  pageserver-ctl branch create try-1 --from prod --at now
  pageserver-ctl branch create before-the-mistake --from prod --at "2026-11-21 14:03:20+01"
  pageserver-ctl branch create an-hour-ago --from prod --at -1h
  pageserver-ctl branch create small --from prod --cpu-max 0.5 --memory 512MiB --write-quota 1GiB
  pageserver-ctl branch create there --from prod --at 0/3A1B2C8 --json
  pageserver-ctl branch create staging --from prod --keep
  pageserver-ctl branch create for-an-agent --from prod --role --ttl 2h --label agent=x
  DATABASE_URL=$(pageserver-ctl branch create pr-42 --from prod --ttl 3d --print-url)`;
