import type { ConnectionString, Status } from '@offshoot/client';
import type { Command } from 'commander';
import { type Context, show } from '../context.js';
import { prettyBytes } from '../table.js';
import { shortState, slotLeft } from './following.js';

/** `status` and `connection-string`. */
export function addStatusCommands(program: Command, context: () => Context): void {
  program
    .command('status')
    .description('the page server at a glance')
    .action(async () => show(context(), await context().client().status(), describe));
  program
    .command('connection-string <branch>')
    .description(
      'the URL of a branch, for psql and drivers; --json has its parts. By the gateway its role logs in with the ' +
        'password that it has on the branch, which the URL does not hold: set PGPASSWORD, or have a line in ~/.pgpass',
    )
    .option('--database <name>', 'database to connect to')
    .option('--user <name>', 'role to connect as')
    .option('--socket', "straight to the running compute's Unix socket, not by the gateway")
    .action(async (branch: string, options: { database?: string; user?: string; socket?: true }) => {
      const choice = {
        ...(options.database === undefined ? {} : { database: options.database }),
        ...(options.user === undefined ? {} : { user: options.user }),
        ...(options.socket === undefined ? {} : { via: 'socket' as const }),
      };
      const connection = await context().client().connectionString(branch, choice);
      show(context(), connection, (c) => c.url);
      if (context().format === 'text' && connection.via === 'gateway') context().aside(password(connection));
    });
}

function password({ user, branch }: ConnectionString): string {
  return `${user} logs in with its password there; a role that has none can: pageserver-ctl connection-string ${branch} --socket`;
}

function receiver({ tenant, state, lag_bytes: bytes, reason, slot }: Status['receivers'][number]): string {
  const behind = bytes === undefined ? '' : `, ${prettyBytes(bytes)} behind`;
  const why = reason === undefined ? '' : `: ${reason}`;
  const left = slot === undefined ? '' : `, the slot ${slotLeft(slot)}`;
  return `following     ${tenant}: ${shortState(state)}${behind}${left}${why}`;
}

function gateway({ host, port, tls, connections, parked, refused }: NonNullable<Status['gateway']>): string {
  const refusals = Object.entries(refused).map(([sqlState, count]) => `${count} with ${sqlState}`);
  const refusedWords = refusals.length === 0 ? '' : `, refused ${refusals.join(', ')}`;
  const address = host.includes(':') ? `[${host}]` : host;
  return `gateway       ${address}:${port} (TLS ${tls}): ${connections} connections, ${parked} waiting${refusedWords}`;
}

function isolation({ means, cgroup, reason, not_enforced: not }: Status['isolation']): string {
  return means === 'cgroup'
    ? `isolation     control groups in ${cgroup}`
    : `isolation     priorities, without control groups: ${reason}; not enforced: ${not.join('; ')}`;
}

function describe(status: Status): string {
  const service = status.page_service;
  return [
    `page server   ${status.version}, pid ${status.pid}, since ${status.started_at}`,
    `data          ${status.data_directory} (${prettyBytes(status.stored_bytes)} stored)`,
    `holds         ${status.tenants} tenants, ${status.branches} branches, ${status.computes_running} of ${status.computes_max} computes running` +
      (status.wakes_waiting === 0 ? '' : `, ${status.wakes_waiting} wait`),
    isolation(status.isolation),
    ...status.unavailable.map(({ tenant, message }) => `unavailable   ${tenant}: ${message}`),
    ...status.receivers.map(receiver),
    `page service  ${service.addresses.join(', ')}: ${service.connections} connections, ` +
      `${service.pages_served} pages served, ${prettyBytes(service.bytes_sent)} sent`,
    ...(status.gateway === undefined ? [] : [gateway(status.gateway)]),
  ].join('\n');
}
