import type { Branch, CreateBranchRequest, Durability } from '@offshoot/client';
import { type Command, Option } from 'commander';
import { type Context, show } from '../context.js';
import { table } from '../table.js';

/** `branch create|list|show|update|delete`. */
export function addBranchCommands(program: Command, context: () => Context): void {
  const branch = program.command('branch').description('copy-on-write branches');
  branch
    .command('create <name>')
    .description('branch a tenant or another branch; one durable catalog entry, whatever the size')
    .option('--from <parent>', 'the branch to start from (default: the only tenant)')
    .addOption(durabilityOption())
    .addHelpText(
      'after',
      `
A branch of a branch holds all that was committed there before the call, also while its compute goes on writing.`,
    )
    .action(async (name: string, options: Omit<CreateBranchRequest, 'name'>) => {
      const request = { name, ...options };
      show(context(), await context().client().createBranch(request), ({ branch: made, timings_ms }) => {
        const took = Object.values(timings_ms).reduce((sum, ms) => sum + ms, 0);
        return `created branch ${made.name} from ${made.parent ?? made.tenant} at ${made.base_lsn} in ${took.toFixed(1)} ms`;
      });
    });
  branch
    .command('list')
    .description('all branches')
    .action(async () => {
      const branches = await context().client().branches();
      show(context(), { branches }, () => list(branches));
    });
  branch
    .command('show <name>')
    .description('one branch')
    .action(async (name: string) => show(context(), await context().client().branch(name), describe));
  branch
    .command('update <name>')
    .description("change a branch's settings; they hold from the next start of its compute on")
    .addOption(durabilityOption().makeOptionMandatory())
    .action(async (name: string, { durability }: { durability: Durability }) => {
      show(context(), await context().client().updateBranch(name, { durability }), describe);
    });
  branch
    .command('delete <name>')
    .description(
      'delete a branch, its compute and what was written there; refused while branches start from it',
    )
    .action(async (name: string) => {
      show(context(), await context().client().deleteBranch(name), (gone) => `deleted branch ${gone.name}`);
    });
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
    b.created_at,
  ]);
  return table(['NAME', 'TENANT', 'PARENT', 'BASE LSN', 'DURABILITY', 'COMPUTE', 'CREATED'], rows);
}

function describe(branch: Branch): string {
  return [
    `branch    ${branch.name} (${branch.id})`,
    `tenant    ${branch.tenant}`,
    `timeline  ${branch.timeline}`,
    `parent    ${branch.parent ?? '(none: the imported history itself)'}`,
    `base LSN  ${branch.base_lsn}`,
    `commits   ${branch.durability}`,
    `compute   ${branch.compute}`,
    `created   ${branch.created_at}`,
  ].join('\n');
}
