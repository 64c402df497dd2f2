import type { NewDatabase, NewDatabaseRequest } from '@offshoot/client';
import type { Command } from 'commander';
import { type Context, show } from '../context.js';
import { addLimitOptions, type LimitOptions, limitsOf } from './branch-limits.js';
import { credentialLines } from './branch-role.js';
import { idleTimeoutOption } from './compute-options.js';
import { addLifeOptions, type LifeOptions, lifeOf } from './life-options.js';
import { NoUrlError } from './no-url-error.js';

type CreateOptions = LifeOptions & LimitOptions & { idleTimeout?: number; printUrl?: true };

/** `database create`. */
export function addDatabaseCommands(program: Command, context: () => Context): void {
  const database = program.command('database').description('new databases');
  const create = database
    .command('create [name]')
    .description('make an empty database, with a role of its own; prints its URL, this once');
  addLifeOptions(addLimitOptions(create))
    .addOption(idleTimeoutOption())
    .option('--print-url', 'print nothing but the URL, which works at once')
    .addHelpText('after', help)
    .action(async (name: string | undefined, options: CreateOptions) => {
      const made = await context().client().createDatabase(requestOf(name, options));
      show(context(), made, options.printUrl === true ? urlOf : created);
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

function urlOf({ name, credentials }: NewDatabase): string {
  if (credentials?.connection_string !== undefined) return credentials.connection_string;
  throw new NoUrlError(name);
}

function created({ name, timings_ms, expires_at: expiresAt, credentials }: NewDatabase): string {
  const took = Object.values(timings_ms).reduce((sum, ms) => sum + ms, 0);
  return [
    `created database ${name} in ${took.toFixed(1)} ms`,
    ...(expiresAt === undefined ? [] : [`  expires      ${expiresAt}`]),
    ...(credentials === undefined ? [] : credentialLines(credentials)),
  ].join('\n');
}

const help = `
A database is a branch of template0, an empty Postgres that the page server makes when it is first needed: all commands
on branches are for it too. branch reset NAME empties it again.

Examples:
  pageserver-ctl database create scratch --ttl 2h
  DATABASE_URL=$(pageserver-ctl database create --ttl 15m --print-url)
  pageserver-ctl branch delete scratch`;
