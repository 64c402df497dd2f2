import type { MovedBranch } from '@offshoot/client';
import { type Command, Option } from 'commander';
import { type Context, show } from '../context.js';
import { parseTimeout } from './life-options.js';

interface MoveOptions {
  at?: string;
  preserveAs?: string;
  preserve?: boolean;
  timeout?: number;
}

/** `branch reset|restore`. */
export function addMoveCommands(branch: Command, context: () => Context): void {
  branch
    .command('reset <name>')
    .description('have a branch go on from its parent as that is now, or was; what was written on it is gone')
    .option(
      '--at <place>',
      "where in the parent's history: latest (default), now, an LSN, a time, -5m, @CHECKPOINT",
    )
    .option('--preserve-as <name>', 'keep the state before, as a branch of this name')
    .addOption(timeoutOption())
    .addHelpText('after', sameHelp(resetExamples))
    .action(async (name: string, options: MoveOptions) => {
      const moved = await context().client().resetBranch(name, requestOf(options));
      show(context(), moved, (value) => movedText('reset', value));
    });
  branch
    .command('restore <name>')
    .description(
      'have a branch go on from a point of its own history; the state before stays, as another branch',
    )
    .requiredOption('--at <place>', 'where in its history: an LSN, a time, -5m, @CHECKPOINT or @newest')
    .option(
      '--preserve-as <name>',
      'the name of the branch that keeps the state before (default: NAME-before-TIME)',
    )
    .addOption(new Option('--no-preserve', 'do not keep the state before').conflicts('preserveAs'))
    .addOption(timeoutOption())
    .addHelpText('after', sameHelp(restoreExamples))
    .action(async (name: string, options: MoveOptions & { at: string }) => {
      const without = options.preserve === false ? { preserve: false } : {};
      const request = { ...requestOf(options), at: options.at, ...without };
      const moved = await context().client().restoreBranch(name, request);
      show(context(), moved, (value) => movedText('restored', value));
    });
}

function timeoutOption(): Option {
  return new Option(
    '--timeout <seconds>',
    'how long to wait for what was written there by now (default: 30)',
  ).argParser(parseTimeout);
}

function requestOf({ at, preserveAs, timeout }: MoveOptions) {
  return {
    ...(at === undefined ? {} : { at }),
    ...(preserveAs === undefined ? {} : { preserve_as: preserveAs }),
    ...(timeout === undefined ? {} : { timeout_ms: timeout }),
  };
}

const sameHelp = (examples: string) => `
The branch keeps its id, its name, its connection string and its own role. Its compute ends, and the connections that are
open with it (57P01); whoever connects from then on gets the new state. Branches that start from it stay as they
are. Where in a history (--at) is written as for "branch create --help".

Examples:${examples}`;

const resetExamples = `
  pageserver-ctl branch reset try-1
  pageserver-ctl branch reset try-1 --at -1h --preserve-as try-1-failed`;

const restoreExamples = `
  pageserver-ctl branch restore try-1 --at @before-backfill
  pageserver-ctl branch restore try-1 --at "2026-11-21 14:03:20+01"
  pageserver-ctl branch restore try-1 --at -5m --no-preserve`;

function movedText(
  done: string,
  { branch, at, history_of, preserved, connections_ended, timings_ms }: MovedBranch,
): string {
  const took = Object.values(timings_ms).reduce((sum, ms) => sum + ms, 0);
  const where = at.checkpoint === undefined ? at.lsn : `${at.lsn} (@${at.checkpoint})`;
  return [
    `${done} branch ${branch.name} to ${history_of} at ${where} in ${took.toFixed(0)} ms`,
    ...(at.last_commit_time === undefined ? [] : [`  last commit   ${at.last_commit_time}`]),
    ...(connections_ended === 0 ? [] : [`  ended         ${connections_ended} connections`]),
    ...(preserved === undefined ? [] : [`  state before  branch ${preserved}`]),
  ].join('\n');
}
