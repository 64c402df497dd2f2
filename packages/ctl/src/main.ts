import { ApiError, ConnectionError } from '@offshoot/client';
import { Command, CommanderError } from 'commander';
import { addBranchCommands } from './commands/branch.js';
import { addCheckpointCommands } from './commands/checkpoint.js';
import { addCompletion, completionAsked } from './commands/completion.js';
import { addComputeCommands } from './commands/compute.js';
import { addDatabaseCommands } from './commands/database.js';
import { addDoctorCommand } from './commands/doctor.js';
import { addEventCommands } from './commands/events.js';
import { addExecCommands } from './commands/exec.js';
import { addGcCommands } from './commands/gc.js';
import { NoUrlError } from './commands/no-url-error.js';
import { addOperationCommands } from './commands/operation.js';
import { addStatusCommands } from './commands/status.js';
import { addTenantCommands } from './commands/tenant.js';
import { addTokenCommands } from './commands/token.js';
import type { Context } from './context.js';
import { DumpSourceError } from './dump-source.js';
import { type DaemonChoice, findDaemon, NoDaemonError } from './find-daemon.js';
import { NoProgramError, ProgramEnd } from './run-program.js';

/** Exit codes: done; refused or failed; wrong usage. */
const done = 0;
const failed = 1;
const wrongUsage = 2;

/** Runs one command line (without the program's name) and answers its exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const interrupt = new AbortController();
  let signals: 'ours' | 'yielded' = 'ours';
  const onSignal = () => {
    if (signals === 'yielded') return;
    // Who asks twice does not want to wait for the page server.
    if (interrupt.signal.aborted) process.exit(failed);
    interrupt.abort();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  // A reader such as head has seen enough.
  process.stdout.on('error', () => process.exit(failed));
  const { program, prepareCompletion } = buildProgram(interrupt.signal, () => {
    signals = 'yielded';
  });
  try {
    const asked = completionAsked(args);
    if (asked !== undefined) {
      await prepareCompletion({ ...contextOf(asked, interrupt.signal), yieldSignals: () => undefined });
    }
    await program.parseAsync(args, { from: 'user' });
    return done;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return done;
      if (wantsJson(args)) printJsonError(usageError(error));
      return wrongUsage;
    }
    if (error instanceof ProgramEnd) return error.exitCode;
    report(error, program.opts<{ json?: boolean }>().json === true ? 'json' : 'text');
    return error instanceof NoProgramError ? error.exitCode : failed;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}

function buildProgram(interrupted: AbortSignal, yieldSignals: () => void) {
  const program = new Command('pageserver-ctl')
    .description('Branch a Postgres, run computes on the branches, throw them away.')
    .option(
      '--data <dir>',
      "the page server's data directory (default: $OFFSHOOT_DATA, else ~/.offshoot, for root /var/lib/offshoot)",
    )
    .option('--url <url>', "the management API's address (default: as written in the data directory)")
    .option('--token-file <file>', 'the token that opens it (default: DIR/token)')
    .option('--json', 'print one JSON document instead of text')
    .showHelpAfterError('(add --help for what is possible)')
    .exitOverride()
    .addHelpText(
      'after',
      `
Exit codes: 0 done, 1 refused or failed, 2 wrong usage; of exec and psql, those of the command.

A first session:
  pageserver start --data ./data &
  pageserver-ctl --data ./data tenant import prod --from postgres://postgres@localhost/postgres
  pageserver-ctl --data ./data branch create try-1 --from prod
  url=$(pageserver-ctl --data ./data connection-string try-1) && psql "$url"
  pageserver-ctl --data ./data branch delete try-1`,
    );
  const context = (): Context => ({
    ...contextOf(program.opts(), interrupted),
    yieldSignals,
  });
  addTenantCommands(program, context);
  addBranchCommands(program, context);
  addDatabaseCommands(program, context);
  addCheckpointCommands(program, context);
  addEventCommands(program, context);
  addComputeCommands(program, context);
  addGcCommands(program, context);
  addExecCommands(program, context);
  addDoctorCommand(program, context);
  addOperationCommands(program, context);
  addStatusCommands(program, context);
  addTokenCommands(program, context);
  for (const command of allCommands(program)) acceptGlobalOptions(command, program);
  return { program, prepareCompletion: addCompletion(program) };
}

function allCommands(command: Command): Command[] {
  return command.commands.flatMap((child) => [child, ...allCommands(child)]);
}

/** `--json` and the rest are understood on either side of the command's name. */
function acceptGlobalOptions(command: Command, program: Command): void {
  command.exitOverride().showHelpAfterError('(add --help for what is possible)');
  if (command.commands.length > 0) return;
  for (const option of program.options) command.addOption(option);
  command.hook('preAction', () => {
    for (const option of program.options) {
      const key = option.attributeName();
      if (command.getOptionValueSource(key) === 'cli')
        program.setOptionValue(key, command.getOptionValue(key));
    }
  });
}

function contextOf(
  options: DaemonChoice & { json?: boolean },
  interrupted: AbortSignal,
): Omit<Context, 'yieldSignals'> {
  const terminal = process.stderr.isTTY;
  return {
    client: () => findDaemon(options, process.env, interrupted),
    steadyClient: () => findDaemon(options, process.env),
    format: options.json === true ? 'json' : 'text',
    out: (text) => process.stdout.write(`${text}\n`),
    remark: (text) => process.stderr.write(`${text}\n`),
    progress: (text) => {
      if (terminal) process.stderr.write(`\r\u001b[K${text}`);
    },
    aside: (text) => {
      if (terminal) process.stderr.write(`${text}\n`);
    },
    interrupted,
  };
}

interface Explanation {
  code: string;
  message: string;
  agent_action: string;
}

function report(error: unknown, format: 'json' | 'text'): void {
  const explanation = explain(error);
  if (format === 'json') printJsonError(explanation);
  process.stderr.write(`error: ${explanation.message}\n  ${explanation.agent_action}\n`);
}

function printJsonError(error: Explanation): void {
  process.stdout.write(`${JSON.stringify({ error }, null, 2)}\n`);
}

/** Those that say themselves what to do next. */
const ownErrors = [ConnectionError, NoDaemonError, NoProgramError, NoUrlError, DumpSourceError];

function explain(error: unknown): Explanation {
  if (error instanceof ApiError) {
    return { code: error.code, message: error.message, agent_action: error.problem.agent_action };
  }
  if (ownErrors.some((known) => error instanceof known)) {
    const { code, message, agentAction } = error as InstanceType<(typeof ownErrors)[number]>;
    return { code, message, agent_action: agentAction };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'failed', message, agent_action: 'this is a mistake in pageserver-ctl; report it' };
}

/** Commander has told people already. */
function usageError({ message }: CommanderError): Explanation {
  return {
    code: 'wrong_usage',
    message: message === '(outputHelp)' ? 'a command is needed' : message.replace(/^error: /, ''),
    agent_action: 'see what is possible: pageserver-ctl --help, or --help behind a command',
  };
}

/** What could not be parsed was not looked at for its options. */
function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return args.slice(0, end < 0 ? undefined : end).includes('--json');
}
