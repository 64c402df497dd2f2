import type { Branch, CreateBranchRequest, CreatedBranch, UpdateBranchRequest } from '@offshoot/client';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Context, show } from '../context.js';
import { table } from '../table.js';
import { activityLines } from './activity.js';
import { addLifeCommands } from './branch-life.js';
import { addLimitOptions, type LimitOptions, limitLines, limitsOf } from './branch-limits.js';
import { addMoveCommands } from './branch-moves.js';
import { addRoleCommands, credentialLines, roleRequest, superuserOption } from './branch-role.js';
import { addSnapshotCommand } from './checkpoint.js';
import { addLifeOptions, type LifeOptions, labelOption, lifeOf, parseTimeout } from './life-options.js';

/** `branch create|list|show|update` and what is in the files beside this one. */
export function addBranchCommands(program: Command, context: () => Context): void {
  const branch = program.command('branch').description('copy-on-write branches');
  addLifeOptions(addLimitOptions(branch.command('create <name>')))
    .description('branch a tenant or another branch; one durable catalog entry, whatever the size')
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
    .addHelpText('after', placesHelp)
    .action(async (name: string, options: CreateOptions) => {
      const { from, at, durability, timeout, idleTimeout, role, roleSuperuser } = options;
      const wait = timeout === undefined ? {} : { timeout_ms: timeout };
      const idle = idleTimeout === undefined ? {} : { idle_timeout: idleTimeout };
      const request = {
        name,
        ...(from === undefined ? {} : { from }),
        ...(at === undefined ? {} : { at }),
        ...(durability === undefined ? {} : { durability }),
        ...wait,
        ...idle,
        ...limitsOf(options),
        ...lifeOf(options),
        ...ownRole(role, roleSuperuser),
      };
      show(context(), await context().client().createBranch(request), created);
    });
  addRoleCommands(branch, context);
  branch
    .command('list')
    .description('all branches, or those with a label')
    .addOption(labelOption('only those that have it; may be given several times'))
    .action(async ({ label = {} }: { label?: Record<string, string> }) => {
      const branches = await context().client().branches({ labels: label });
      show(context(), { branches }, () => list(branches));
    });
  branch
    .command('show <name>')
    .description('one branch')
    .action(async (name: string) => show(context(), await context().client().branch(name), describe));
  addLimitOptions(branch.command('update <name>'))
    .description(
      "change a branch's settings: durability and memory from the next start of its compute on, the others at once",
    )
    .addOption(durabilityOption())
    .addOption(idleTimeoutOption())
    .addOption(labelOption('add a label, or give it another value; may be given several times'))
    .option('--remove-label <names...>', 'take labels away')
    .action(async (name: string, options: ChangeOptions) => {
      const { durability, idleTimeout, label, removeLabel = [] } = options;
      const labels = { ...label, ...Object.fromEntries(removeLabel.map((each) => [each, null])) };
      const request = {
        ...(Object.keys(labels).length === 0 ? {} : { labels }),
        ...limitsOf(options),
        ...(durability === undefined ? {} : { durability }),
        ...(idleTimeout === undefined ? {} : { idle_timeout: idleTimeout }),
      };
      show(context(), await context().client().updateBranch(name, request), describe);
    });
  addLifeCommands(branch, context);
  addMoveCommands(branch, context);
  addSnapshotCommand(branch, context);
}

type UpdateOptions = Pick<UpdateBranchRequest, 'durability'> & { idleTimeout?: number } & LimitOptions;

type ChangeOptions = UpdateOptions & { label?: Record<string, string>; removeLabel?: string[] };

type CreateOptions = LifeOptions &
  Pick<CreateBranchRequest, 'from' | 'at'> &
  UpdateOptions & { timeout?: number; role?: string | true; roleSuperuser?: true };

function ownRole(
  role: string | true | undefined,
  superuser: true | undefined,
): Pick<CreateBranchRequest, 'role'> {
  if (role === undefined && superuser === undefined) return {};
  return { role: roleRequest(role === true ? undefined : role, superuser) };
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
  pageserver-ctl branch create for-an-agent --from prod --role --ttl 2h --label agent=x`;

function idleTimeoutOption(): Option {
  return new Option(
    '--idle-timeout <time>',
    'put the compute to sleep after so long without connections and work: 300, 90s, 5m, 2h, or never; the next ' +
      'connection wakes it (default: the setting idleTimeoutSeconds, 300)',
  ).argParser(parseIdleTimeout);
}

const SECONDS: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600 };
const IDLE_SECONDS_MAX = 2_147_483;

/** As seconds; 0 is never. */
export function parseIdleTimeout(text: string): number {
  if (text === 'never') return 0;
  const [, count, unit] = /^(\d{1,9})([smh]?)$/.exec(text) ?? [];
  const seconds = Number(count) * (SECONDS[unit ?? ''] ?? Number.NaN);
  if (!(seconds <= IDLE_SECONDS_MAX)) {
    throw new InvalidArgumentError(
      `write a time like 300, 90s, 5m or 2h (${IDLE_SECONDS_MAX} s at most), or never`,
    );
  }
  return seconds;
}

function created({ branch, at, timings_ms, credentials }: CreatedBranch): string {
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
  if (branch.expires_at !== undefined) lines.push(`  expires      ${branch.expires_at}`);
  if (credentials !== undefined) lines.push(...credentialLines(credentials));
  return lines.join('\n');
}

function durabilityOption(): Option {
  return new Option(
    '--durability <kind>',
    'sync: a commit returns when the page server has it on disk (default); async: it returns earlier, and a crash ' +
      'of the compute loses the last moments',
  ).choices(['sync', 'async']);
}

function list(branches: Branch[]): string {
  if (branches.length === 0)
    return 'no branches; import a tenant first: pageserver-ctl tenant import NAME --from URL';
  const rows = branches.map((b) => [
    b.name,
    b.tenant,
    b.parent ?? '-',
    b.base_lsn,
    b.durability,
    b.compute,
    b.activity.connections,
    b.activity.last_connection_at ?? '-',
    b.state === 'expired' ? 'expired' : (b.expires_at ?? (b.protected ? 'protected' : '-')),
    b.created_at,
  ]);
  return table(
    [
      'NAME',
      'TENANT',
      'PARENT',
      'BASE LSN',
      'DURABILITY',
      'COMPUTE',
      'CONNECTIONS',
      'LAST CONNECTION',
      'EXPIRES',
      'CREATED',
    ],
    rows,
  );
}

function describe(branch: Branch): string {
  return [
    `branch    ${branch.name} (${branch.id})`,
    `tenant    ${branch.tenant}`,
    `timeline  ${branch.timeline}`,
    `parent    ${branch.parent ?? '(none: the imported history itself)'}`,
    `base LSN  ${branch.base_lsn}`,
    branch.access === 'read_only'
      ? 'access    read-only, at the newest LSN of production’s'
      : `commits   ${branch.durability}`,
    `compute   ${branch.compute}`,
    `sleeps    ${branch.idle_timeout === 0 ? 'never' : `after ${branch.idle_timeout} s without connections and work`}`,
    `own role  ${branch.role === undefined ? '(none)' : roleText(branch.role)}`,
    ...limitLines(branch),
    ...activityLines(branch.activity),
    `created   ${branch.created_at}${branch.requested_at === undefined ? '' : `, asked for ${branch.requested_at}`}`,
    `expires   ${expiryOf(branch)}`,
    ...(branch.snapshots === undefined
      ? []
      : [`snapshots every ${branch.snapshots.every_seconds} s, ${branch.snapshots.keep} stay`]),
    ...labelLines(branch),
  ].join('\n');
}

function expiryOf({ expires_at, state, protected: kept }: Branch): string {
  if (kept) return 'never: it is protected';
  if (expires_at === undefined) return 'never';
  return state === 'expired'
    ? `${expires_at}: it is over, and the branch goes with the last one that starts from it`
    : expires_at;
}

function labelLines({ labels }: Branch): string[] {
  const all = Object.entries(labels);
  return all.length === 0 ? [] : [`labels    ${all.map(([label, value]) => `${label}=${value}`).join(', ')}`];
}

function roleText({ name, rights, password_set_at }: NonNullable<Branch['role']>): string {
  return `${name}${rights === 'superuser' ? ', a superuser' : ''}, password of ${password_set_at}`;
}
