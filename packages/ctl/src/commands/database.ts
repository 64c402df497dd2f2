import type { DumpChoice, NewDatabase, NewDatabaseRequest, UpdateBranchRequest } from '@offshoot/client';
import { type Command, Option } from 'commander';
import { type Context, show } from '../context.js';
import { prettyBytes } from '../table.js';
import { addLimitOptions, type LimitOptions, limitsOf } from './branch-limits.js';
import { credentialLines } from './branch-role.js';
import { idleTimeoutOption } from './compute-options.js';
import { addLifeOptions, type LifeOptions, lifeOf } from './life-options.js';
import { loadDatabase } from './load-database.js';
import { NoUrlError } from './no-url-error.js';

type CreateOptions = LifeOptions &
  LimitOptions & { idleTimeout?: number; printUrl?: true; fromDump?: string; onError?: 'stop' | 'continue' };

/** `database create`. */
export function addDatabaseCommands(program: Command, context: () => Context): void {
  const database = program.command('database').description('new databases');
  const create = database
    .command('create [name]')
    .description('make a database, empty or of a dump, with a role of its own; prints its URL, this once');
  addLifeOptions(addLimitOptions(create))
    .addOption(idleTimeoutOption())
    .option(
      '--from-dump <dump>',
      'load what pg_dump has written: a file, an http(s) URL, or - for standard input; plain, custom or tar, also in gzip',
    )
    .addOption(
      new Option(
        '--on-error <what>',
        'with --from-dump, when a statement of the dump fails: stop, and leave nothing (default), or continue with a warning',
      ).choices(['stop', 'continue']),
    )
    .option('--print-url', 'print nothing but the URL, which works at once')
    .addHelpText('after', help)
    .action(async (name: string | undefined, options: CreateOptions, command: Command) => {
      if (options.onError !== undefined && options.fromDump === undefined) {
        command.error('error: --on-error is about a dump: give --from-dump DUMP too', { exitCode: 2 });
      }
      const here = context();
      const made =
        options.fromDump === undefined
          ? await here.client().createDatabase(requestOf(name, options))
          : await loadDatabase(here, options.fromDump, choiceOf(name, options), settingsOf(options));
      show(here, made, options.printUrl === true ? urlOf : created);
      for (const line of warningLines(made)) here.remark(line);
    });
}

function requestOf(name: string | undefined, options: CreateOptions): NewDatabaseRequest {
  const { idleTimeout } = options;
  return {
    ...(name === undefined ? {} : { name }),
    ...(idleTimeout === undefined ? {} : { idle_timeout: idleTimeout }),
    ...limitsOf(options),
    ...lifeOf(options),
  };
}

/** Of a dump. */
function choiceOf(name: string | undefined, { onError, ...options }: CreateOptions): DumpChoice {
  const { labels, ttl_seconds, expires_at, keep } = lifeOf(options) as DumpChoice;
  const choice = { name, labels, ttl_seconds, expires_at, keep, on_error: onError };
  return Object.fromEntries(Object.entries(choice).filter(([, value]) => value !== undefined));
}

/** What is set once a dump is loaded. */
function settingsOf({ idleTimeout, protect, ...options }: CreateOptions): UpdateBranchRequest {
  return {
    ...(idleTimeout === undefined ? {} : { idle_timeout: idleTimeout }),
    ...(protect === undefined ? {} : { protected: true }),
    ...limitsOf(options),
  };
}

function urlOf({ name, credentials }: NewDatabase): string {
  if (credentials?.connection_string !== undefined) return credentials.connection_string;
  throw new NoUrlError(name);
}

function created({ name, timings_ms, expires_at: expiresAt, credentials, load }: NewDatabase): string {
  const took = Object.values(timings_ms).reduce((sum, ms) => sum + ms, 0);
  return [
    `created database ${name} in ${took.toFixed(1)} ms`,
    ...(load === undefined
      ? []
      : [
          `  loaded       ${load.statements} statements, ${load.rows} rows copied, ${prettyBytes(load.bytes)} of SQL`,
        ]),
    ...(expiresAt === undefined ? [] : [`  expires      ${expiresAt}`]),
    ...(credentials === undefined ? [] : credentialLines(credentials)),
  ].join('\n');
}

/** So many are shown; --json has more. */
const WARNINGS_SHOWN = 10;

function warningLines({ load }: NewDatabase): string[] {
  if (load === undefined) return [];
  const { warnings, warnings_omitted: omitted } = load;
  const more = warnings.length - WARNINGS_SHOWN + omitted;
  return [
    ...warnings.slice(0, WARNINGS_SHOWN).map(({ kind, line, message, count }) => {
      const times = count === 1 ? '' : ` (${count} times)`;
      return `warning: ${kind}: line ${line}: ${message}${times}`;
    }),
    ...(more > 0 ? [`and ${more} more warnings`] : []),
  ];
}

const help = `
A database is a branch of template0, an empty Postgres that the page server makes when it is first needed: all commands
on branches are for it too. branch reset NAME empties it again, branch restore NAME --at @loaded brings back what was
loaded.

A dump is loaded as the database's own role, which owns everything then. Statements about the server that the dump comes
from (owners, grants, roles, extensions, settings) may fail, with a warning. Commands to psql are not run. UNLOGGED tables
are empty once the database's compute has stopped; a warning says so.

Examples:
  pageserver-ctl database create scratch --ttl 2h
  pageserver-ctl database create shop --from-dump shop.dump --ttl 1d
  pg_dump -Fc "$PRODUCTION" | pageserver-ctl database create shop --from-dump - --on-error continue
  DATABASE_URL=$(pageserver-ctl database create --ttl 15m --print-url)
  pageserver-ctl branch delete scratch`;
