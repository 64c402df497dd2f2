import type { DumpChoice, NewDatabase, NewDatabaseRequest } from '@offshoot/client';
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
        'when a statement of the dump fails: stop, and leave nothing (default), or continue with a warning',
      ).choices(['stop', 'continue']),
    )
    .option('--print-url', 'print nothing but the URL, which works at once')
    .addHelpText('after', help)
    .action(async (name: string | undefined, options: CreateOptions) => {
      const here = context();
      const made =
        options.fromDump === undefined
          ? await here.client().createDatabase(requestOf(name, options))
          : await loaded(here, options.fromDump, name, options);
      show(here, made, options.printUrl === true ? urlOf : created);
      for (const line of warningLines(made)) here.remark(line);
    });
}

function requestOf(name: string | undefined, options: CreateOptions): NewDatabaseRequest {
  return {
    ...(name === undefined ? {} : { name }),
    ...settingsOf(options),
    ...lifeOf(options),
  };
}

/** How it runs. */
function settingsOf({ idleTimeout, ...options }: CreateOptions) {
  return {
    ...(idleTimeout === undefined ? {} : { idle_timeout: idleTimeout }),
    ...limitsOf(options),
  };
}

/**
 * The call that a dump is sent with has no room for how the database runs: that is chosen behind it. What is refused of it
 * is said, and the database is there, with the only word of its password.
 */
async function loaded(
  here: Context,
  dump: string,
  name: string | undefined,
  options: CreateOptions,
): Promise<NewDatabase> {
  const made = await loadDatabase(here, dump, choiceOf(name, options));
  const settings = settingsOf(options);
  if (Object.keys(settings).length === 0) return made;
  try {
    const { ignored_fields: _, ...branch } = await here.steadyClient().updateBranch(made.name, settings);
    return { ...made, branch };
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    here.remark(`warning: it runs with the defaults, what was chosen was refused: ${words}`);
    return made;
  }
}

/** Of a dump. */
function choiceOf(name: string | undefined, { onError, ...options }: CreateOptions): DumpChoice {
  const { labels, ttl_seconds, expires_at, keep } = lifeOf(options) as DumpChoice;
  const choice = { name, labels, ttl_seconds, expires_at, keep, on_error: onError };
  return Object.fromEntries(Object.entries(choice).filter(([, value]) => value !== undefined));
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
from (owners, grants, roles, extensions, settings) may fail, with a warning. Commands to psql are not run.

Examples:
  pageserver-ctl database create scratch --ttl 2h
  pageserver-ctl database create shop --from-dump shop.dump --ttl 1d
  pg_dump -Fc "$PRODUCTION" | pageserver-ctl database create shop --from-dump - --on-error continue
  DATABASE_URL=$(pageserver-ctl database create --ttl 15m --print-url)
  pageserver-ctl branch delete scratch`;
