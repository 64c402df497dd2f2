import type { Check, Checkup } from '@offshoot/client';
import type { Command } from 'commander';
import { type Context, show } from '../context.js';
import { ProgramEnd } from '../run-program.js';

const marks: Readonly<Record<Check['state'], string>> = { ok: 'ok  ', warning: 'WARN', failed: 'FAIL' };

/** `doctor`. */
export function addDoctorCommand(program: Command, context: () => Context): void {
  program
    .command('doctor')
    .description('look over the machine, the page server, and a Postgres that is to be imported')
    .option(
      '--source <url>',
      'of a Postgres that is to be imported: what is in the way there, and what mends it',
    )
    .option('--print-sql', 'print nothing but what mends the source, to be run there')
    .addHelpText('after', help)
    .action(async ({ source, printSql }: { source?: string; printSql?: true }) => {
      if (printSql === true && source === undefined) {
        program.error('error: --print-sql is about a source: give --source URL too', { exitCode: 2 });
      }
      const found = await context()
        .client()
        .checkUp(source === undefined ? {} : { source_url: source });
      show(context(), found, printSql === true ? fixesOf : report);
      const checks = [...found.machine, ...(found.source ?? [])];
      if (checks.some(({ state }) => state === 'failed')) throw new ProgramEnd(1);
    });
}

function report({ machine, source }: Checkup): string {
  const parts = [['This machine and its page server', ...machine.flatMap(lines)]];
  if (source !== undefined) parts.push(['The source', ...source.flatMap(lines)]);
  return parts.map((part) => part.join('\n')).join('\n\n');
}

function lines({ name, state, found, fix = [] }: Check): string[] {
  return [`  ${marks[state]}  ${name}: ${found}`, ...fix.map((each) => `          ${each}`)];
}

function fixesOf({ source = [] }: Checkup): string {
  return source
    .filter(({ fix }) => fix !== undefined)
    .map(({ name, found, fix = [] }) => [`-- ${name}: ${found}`, ...fix].join('\n'))
    .join('\n\n');
}

const help = `
Exit code 1: something would keep an import from succeeding, or has failed.

Examples:
  pageserver-ctl doctor
  pageserver-ctl doctor --source postgres://replicator@db.example.com/postgres
  pageserver-ctl doctor --source "$PROD" --print-sql > mend.sql`;
