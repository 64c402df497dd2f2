import type { Branch, Checkpoint } from '@offshoot/client';
import { type Command, Option } from 'commander';
import { type Context, show } from '../context.js';
import { table } from '../table.js';
import { parseCount, parseDuration, parseTimeout } from './life-options.js';

/** `checkpoint create|list|delete`. */
export function addCheckpointCommands(program: Command, context: () => Context): void {
  const checkpoint = program.command('checkpoint').description('named points in the history of a branch');
  checkpoint
    .command('create <branch> <name>')
    .description('give a point of a branch a name, by which it can be restored or branched from')
    .option('--at <place>', 'where in its history: latest (default), an LSN, a time, -5m')
    .option(
      '--timeout <seconds>',
      'how long to wait for what was written there by now (default: 30)',
      parseTimeout,
    )
    .addHelpText('after', help)
    .action(async (branch: string, name: string, { at, timeout }: { at?: string; timeout?: number }) => {
      const where = at === undefined ? {} : { at };
      const wait = timeout === undefined ? {} : { timeout_ms: timeout };
      const made = await context()
        .client()
        .createCheckpoint(branch, { name, ...where, ...wait });
      show(context(), made, () => `checkpoint ${made.name} of branch ${made.branch} at ${made.lsn}`);
    });
  checkpoint
    .command('list <branch>')
    .description('the checkpoints of a branch, the oldest first')
    .action(async (branch: string) => {
      const checkpoints = await context().client().checkpoints(branch);
      show(context(), { checkpoints }, () => list(checkpoints));
    });
  checkpoint
    .command('delete <branch> <name>')
    .description('forget a checkpoint; what only it needs can go')
    .action(async (branch: string, name: string) => {
      const gone = await context().client().deleteCheckpoint(branch, name);
      show(context(), gone, () => `deleted checkpoint ${gone.name} of branch ${gone.branch}`);
    });
}

const help = `
A checkpoint is an LSN with a name: it costs nothing to make, and what is needed to go back there is kept as long as it is
there, also when the branch is reset. It goes with its branch.

  pageserver-ctl checkpoint create try-1 before-backfill
  pageserver-ctl branch restore try-1 --at @before-backfill
  pageserver-ctl branch create try-2 --from try-1 --at @before-backfill
  pageserver-ctl branch create try-3 --from prod --at @newest
  pageserver-ctl branch snapshots prod --every 15m --keep 96`;

function list(checkpoints: readonly Checkpoint[]): string {
  if (checkpoints.length === 0)
    return 'no checkpoints; make one: pageserver-ctl checkpoint create BRANCH NAME';
  const rows = checkpoints.map(({ name, lsn, kind, created_at }) => [name, lsn, kind, created_at]);
  return table(['NAME', 'LSN', 'KIND', 'CREATED'], rows);
}

interface SnapshotOptions {
  every?: number;
  keep?: number;
  off?: true;
}

const KEEP_DEFAULT = 24;

/** `branch snapshots`. */
export function addSnapshotCommand(branch: Command, context: () => Context): void {
  branch
    .command('snapshots <name>')
    .description('take a checkpoint of a branch again and again, and keep the newest')
    .addOption(new Option('--every <time>', 'so often: 5m, 1h').argParser(parseDuration))
    .addOption(new Option('--keep <count>', `so many stay (default: ${KEEP_DEFAULT})`).argParser(parseCount))
    .addOption(
      new Option('--off', 'take none from now on; those that are there stay').conflicts(['every', 'keep']),
    )
    .addHelpText('after', snapshotsHelp)
    .action(async (name: string, { every, keep = KEEP_DEFAULT, off }: SnapshotOptions, command: Command) => {
      if (every === undefined && off === undefined) {
        command.error('error: say how often: --every TIME, or --off', { exitCode: 2 });
      }
      const policy = every === undefined ? null : { every_seconds: every, keep };
      const changed = await context().client().updateBranch(name, { snapshots: policy });
      show(context(), changed, snapshotsText);
    });
}

const snapshotsHelp = `
Of a tenant's first branch that is production as it was then; the newest is @newest (branch create --at @newest). None is
taken while nothing was written since the last one.`;

export function snapshotsText({ name, snapshots }: Branch): string {
  return snapshots === undefined
    ? `no checkpoints of branch ${name} are taken by themselves`
    : `a checkpoint of branch ${name} is taken every ${snapshots.every_seconds} s, and ${snapshots.keep} stay`;
}
