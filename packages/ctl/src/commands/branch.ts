import type { Branch, BranchStorage, UpdateBranchRequest } from '@offshoot/client';
import type { Command } from 'commander';
import { type Context, show } from '../context.js';
import { table } from '../table.js';
import { activityLines } from './activity.js';
import { addCreateCommands } from './branch-create.js';
import { addLifeCommands } from './branch-life.js';
import { addLimitOptions, type LimitOptions, limitLines, limitsOf } from './branch-limits.js';
import { addMoveCommands } from './branch-moves.js';
import { addRecordCommand } from './branch-record.js';
import { addRoleCommands } from './branch-role.js';
import { storageLines } from './branch-storage.js';
import { addSnapshotCommand } from './checkpoint.js';
import { durabilityOption, idleTimeoutOption } from './compute-options.js';
import { labelOption } from './life-options.js';

/** `branch create|list|show|update` and what is in the files beside this one. */
export function addBranchCommands(program: Command, context: () => Context): void {
  const branch = program.command('branch').description('copy-on-write branches');
  addCreateCommands(program, branch, context);
  addRoleCommands(branch, context);
  branch
    .command('list')
    .description('all branches, or those with a label')
    .addOption(labelOption('only those that have it; may be given several times'))
    .option('--never-used', 'only those that nobody has connected to')
    .option('--abandoned', 'only those that nobody has used for a day (the setting abandonedAfterSeconds)')
    .action(async ({ label = {}, neverUsed, abandoned }: ListOptions) => {
      const all = await context().client().branches({ labels: label });
      const branches = all.filter(
        (each) => (!neverUsed || each.never_used) && (!abandoned || each.abandoned),
      );
      show(context(), { branches }, () => list(branches));
    });
  branch
    .command('show <name>')
    .description('one branch, what it has stored and what it keeps its ancestors from giving up')
    .action(async (name: string) => {
      const client = context().client();
      const [branch, storage] = [await client.branch(name), await client.branchStorage(name)];
      show(context(), { ...branch, storage }, describe);
    });
  addRecordCommand(branch, context);
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

interface ListOptions {
  label?: Record<string, string>;
  neverUsed?: true;
  abandoned?: true;
}

type UpdateOptions = Pick<UpdateBranchRequest, 'durability'> & { idleTimeout?: number } & LimitOptions;

type ChangeOptions = UpdateOptions & { label?: Record<string, string>; removeLabel?: string[] };

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

function describe({ storage, ...branch }: Branch & { storage?: BranchStorage }): string {
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
    ...storageLines(storage ?? branch),
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
