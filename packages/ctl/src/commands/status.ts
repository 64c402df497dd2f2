import type { Status } from '@offshoot/client';
import type { Command } from 'commander';
import { type Context, show } from '../context.js';
import { prettyBytes } from '../table.js';
import { shortState } from './following.js';

/** `status` and `connection-string`. */
export function addStatusCommands(program: Command, context: () => Context): void {
  program
    .command('status')
    .description('the page server at a glance')
    .action(async () => show(context(), await context().client().status(), describe));
  program
    .command('connection-string <branch>')
    .description("the URL of a branch's running compute, for psql and drivers; --json has its parts")
    .option('--database <name>', 'database to connect to')
    .option('--user <name>', 'role to connect as')
    .action(async (branch: string, options: { database?: string; user?: string }) => {
      const choice = {
        ...(options.database === undefined ? {} : { database: options.database }),
        ...(options.user === undefined ? {} : { user: options.user }),
      };
      show(context(), await context().client().connectionString(branch, choice), (c) => c.url);
    });
}

function receiver({ tenant, state, lag_bytes: bytes, reason }: Status['receivers'][number]): string {
  const behind = bytes === undefined ? '' : `, ${prettyBytes(bytes)} behind`;
  const why = reason === undefined ? '' : `: ${reason}`;
  return `following     ${tenant}: ${shortState(state)}${behind}${why}`;
}

function describe(status: Status): string {
  const service = status.page_service;
  return [
    `page server   ${status.version}, pid ${status.pid}, since ${status.started_at}`,
    `data          ${status.data_directory} (${prettyBytes(status.stored_bytes)} stored)`,
    `holds         ${status.tenants} tenants, ${status.branches} branches, ${status.computes_running} of ${status.computes_max} computes running` +
      (status.wakes_waiting === 0 ? '' : `, ${status.wakes_waiting} wait`),
    ...status.receivers.map(receiver),
    `page service  ${service.addresses.join(', ')}: ${service.connections} connections, ` +
      `${service.pages_served} pages served, ${prettyBytes(service.bytes_sent)} sent`,
  ].join('\n');
}
