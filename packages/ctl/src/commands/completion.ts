import tab from '@bomb.sh/tab/commander';
import type { Command } from 'commander';
import type { Context } from '../context.js';
import type { DaemonChoice } from '../find-daemon.js';

/** A key press waits for it: names that come later are left out. */
const NAMES_WAIT_MS = 500;
/** Arguments and options that are names of branches, or of tenants, which are branches too. */
const BRANCH_ARGUMENTS: ReadonlySet<string> = new Set(['branch', 'name', 'parent', 'tenant']);
/** Of new things, whose names nobody can complete. */
const NEW = /(^| )(create|import|fork|clone)$/;
/** What the shell's script calls; another word than the one for people. */
const REQUEST = 'complete';

const shells = ['bash', 'zsh', 'fish', 'powershell'];

/**
 * `completion SHELL` prints a script for the shell, which then asks for what can stand next. All other commands must be
 * there already. Answers what is to be done before such a question is answered.
 */
export function addCompletion(program: Command): (context: Context) => Promise<void> {
  const root = tab(program, { completionCommandName: 'completion' });
  program.commands
    .find((each) => each.name() === 'completion')
    ?.description(`print a script that completes commands, options and branches: ${shells.join(', ')}`)
    .addHelpText('after', completionHelp);
  return async (context) => {
    // Before: what can stand next has to be said at once.
    const names = await branchNames(context);
    for (const [path, command] of root.commands) {
      for (const argument of command.arguments.values()) {
        if (BRANCH_ARGUMENTS.has(argument.name) && !NEW.test(path)) argument.handler = offer(names);
      }
      const from = command.options.get('from');
      if (from !== undefined && path !== 'tenant import') from.handler = offer(names);
    }
  };
}

/** Whether a shell asks; then how to get to the page server, as far as its user has said so. */
export function completionAsked(args: readonly string[]): DaemonChoice | undefined {
  if (args[0] !== REQUEST || args[1] !== '--') return undefined;
  const after = (option: string) => {
    const at = args.indexOf(option);
    return at < 0 ? undefined : args[at + 1];
  };
  const [data, url, tokenFile] = [after('--data'), after('--url'), after('--token-file')];
  return {
    ...(data === undefined ? {} : { data }),
    ...(url === undefined ? {} : { url }),
    ...(tokenFile === undefined ? {} : { tokenFile }),
  };
}

const offer = (names: readonly string[]) => (complete: (value: string, description: string) => void) => {
  for (const name of names) complete(name, '');
};

/** None where there is no page server to ask. */
async function branchNames(context: Context): Promise<string[]> {
  const late = new Promise<string[]>((resolve) => setTimeout(resolve, NAMES_WAIT_MS, []).unref());
  const names = (async () => (await context.client().branches()).map(({ name }) => name))();
  return await Promise.race([names.catch(() => []), late]);
}

const completionHelp = `
Examples:
  bash: source <(pageserver-ctl completion bash)      # in ~/.bashrc
  zsh:  source <(pageserver-ctl completion zsh)       # in ~/.zshrc
  fish: pageserver-ctl completion fish > ~/.config/fish/completions/pageserver-ctl.fish`;
