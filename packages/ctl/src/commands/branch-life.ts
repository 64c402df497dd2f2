import type { Branch, DeletedBranch } from '@offshoot/client';
import { type Command, Option } from 'commander';
import { type Context, show } from '../context.js';
import { branchTree, type Tree, treeText } from './branch-tree.js';
import { parseDuration, parseTime } from './life-options.js';

/** `branch expire|protect|unprotect|rename|delete|tree`. */
export function addLifeCommands(branch: Command, context: () => Context): void {
  addExpire(branch, context);
  branch
    .command('protect <name>')
    .description(
      'keep a branch: it is not deleted, reset, restored or made to expire; its expiry is taken away',
    )
    .action(async (name: string) => {
      const kept = await context().client().updateBranch(name, { protected: true });
      show(context(), kept, () => `protected branch ${kept.name}`);
    });
  branch
    .command('unprotect <name>')
    .description('let a branch be deleted, reset, restored and made to expire again')
    .action(async (name: string) => {
      const free = await context().client().updateBranch(name, { protected: false });
      show(context(), free, () => `unprotected branch ${free.name}`);
    });
  branch
    .command('rename <name> <new-name>')
    .description('give a branch another name; its connections stay, and new ones name it by that')
    .action(async (name: string, to: string) => {
      const renamed = await context().client().renameBranch(name, to);
      show(context(), renamed, () => `renamed branch ${name} to ${renamed.name}`);
    });
  branch
    .command('delete <name>')
    .description(
      'delete a branch, its compute and what was written there; refused while branches start from it',
    )
    .option('--recursive', 'delete the branches that start from it too, those first from which none starts')
    .action(async (name: string, { recursive = false }: { recursive?: boolean }) => {
      show(context(), await context().client().deleteBranch(name, { recursive }), deletedText);
    });
  branch
    .command('tree [name]')
    .description('which branches start from which; of one branch, those that start from it')
    .action(async (name: string | undefined) => {
      // One that is not there is refused as everywhere.
      if (name !== undefined) await context().client().branch(name);
      const trees: Tree[] = branchTree(await context().client().branches(), name);
      show(context(), { branches: trees }, () => treeText(trees));
    });
}

interface ExpireOptions {
  in?: number;
  at?: string;
  never?: true;
}

function addExpire(branch: Command, context: () => Context): void {
  branch
    .command('expire <name>')
    .description('say when a branch is to be deleted, sooner or later than before, or never')
    .addOption(new Option('--in <time>', 'so long from now: 30m, 2h, 7d').argParser(parseDuration))
    .addOption(
      new Option('--at <time>', 'at that time, without a zone UTC').argParser(parseTime).conflicts('in'),
    )
    .addOption(new Option('--never', 'it stays until somebody deletes it').conflicts(['in', 'at']))
    .addHelpText('after', expiryHelp)
    .action(async (name: string, { in: ttl, at, never }: ExpireOptions, command: Command) => {
      if (ttl === undefined && at === undefined && never === undefined) {
        command.error('error: say when: --in TIME, --at TIME or --never', { exitCode: 2 });
      }
      const request = ttl === undefined ? { expires_at: at ?? null } : { ttl_seconds: ttl };
      const changed = await context().client().updateBranch(name, request);
      show(context(), changed, expiryText);
    });
}

const expiryHelp = `
From its time on a branch takes no connections, and no branch can be made of it. It is deleted at once, unless branches
start from it that have not expired: then it stays, as "expired", until the last of them is gone, and can be given more
time until then. A branch that starts from one that expires need not expire itself, and is never deleted before its own
time.

Examples:
  pageserver-ctl branch create try-1 --from prod --ttl 2h
  pageserver-ctl branch expire try-1 --in 8h
  pageserver-ctl branch expire try-1 --at "2026-11-21 18:00+01"
  pageserver-ctl branch expire try-1 --never`;

function expiryText({ name, expires_at }: Branch): string {
  return expires_at === undefined
    ? `branch ${name} does not expire`
    : `branch ${name} expires at ${expires_at}`;
}

function deletedText({ name, deleted }: DeletedBranch): string {
  const others = deleted.filter((each) => each !== name);
  return others.length === 0
    ? `deleted branch ${name}`
    : `deleted branch ${name}, and ${others.length} that started from it: ${others.join(', ')}`;
}
