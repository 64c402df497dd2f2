import type { Compute, StoppedCompute } from '@offshoot/client';
import type { Command } from 'commander';
import { type Context, show } from '../context.js';
import { table } from '../table.js';

/** `compute start|stop|list`. */
export function addComputeCommands(program: Command, context: () => Context): void {
  const compute = program.command('compute').description('running Postgres servers of branches');
  compute
    .command('start <branch>')
    .description(
      'start Postgres on a branch; returns when a query on it has succeeded. It sleeps after its idle timeout as others do',
    )
    .action(async (branch: string) => {
      show(context(), await context().client().startCompute(branch), started);
    });
  compute
    .command('stop <branch>')
    .description(
      "stop a branch's Postgres now, and say how many sessions that ended; the next start has all that was committed",
    )
    .action(async (branch: string) => {
      show(context(), await context().client().stopCompute(branch), stopped);
    });
  compute
    .command('list [branch]')
    .description('computes and their state')
    .action(async (branch: string | undefined) => {
      const client = context().client();
      // A branch that is not there is refused, and not listed as one without computes.
      if (branch !== undefined) await client.branch(branch);
      const all = await client.computes();
      const computes = branch === undefined ? all : all.filter((c) => c.branch === branch);
      show(context(), { computes }, () => list(computes));
    });
}

function stopped({ branch, connections_ended: ended }: StoppedCompute): string {
  const sessions = ended === 1 ? '1 session was' : `${ended} sessions were`;
  return `stopped ${branch}${ended === 0 ? '' : `; ${sessions} ended`}`;
}

function started(compute: Compute): string {
  const took = compute.timings_ms.total;
  const readOnly = compute.access === 'read_only' ? `, read-only, as of ${compute.base_lsn}` : '';
  return (
    `${compute.branch} is running${readOnly}${took === undefined ? '' : ` (${took.toFixed(0)} ms)`}; ` +
    `connect with: url=$(pageserver-ctl connection-string ${compute.branch}) && psql "$url"`
  );
}

function list(computes: Compute[]): string {
  if (computes.length === 0) return 'no computes; start one with: pageserver-ctl compute start BRANCH';
  const rows = computes.map((c) => [
    c.branch,
    c.state,
    c.activity.connections,
    c.activity.wakes,
    c.base_lsn,
    c.started_at,
    firstLine(c.reason ?? c.socket_directory ?? '-'),
  ]);
  return table(['BRANCH', 'STATE', 'CONNECTIONS', 'WAKES', 'BASE LSN', 'STARTED', 'SOCKET OR REASON'], rows);
}

/** A crash's reason goes on with the log's last lines; --json has them. */
function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}
