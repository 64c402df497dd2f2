import type { Tenant } from '@offshoot/client';
import type { Command } from 'commander';
import { type Context, show } from '../context.js';
import { prettyBytes, table } from '../table.js';
import { following, followingInShort } from './following.js';
import { addTenantSet, garbageLines } from './gc.js';
import { importTenant } from './tenant-import.js';
import { warningOfUnsupported } from './unsupported-records.js';

/** `tenant import|list|show|delete`. */
export function addTenantCommands(program: Command, context: () => Context): void {
  const tenant = program.command('tenant').description('imported Postgres clusters');
  tenant
    .command('import <name>')
    .description(
      'copy a running Postgres 15 by streaming a base backup, then follow its WAL; makes a branch of the same name',
    )
    .requiredOption(
      '--from <url>',
      'connection string of the source, like postgres://user@host:5432/postgres',
    )
    .addHelpText(
      'after',
      `
The role needs REPLICATION (or superuser), and pg_hba.conf of the source a line for "replication".
Passwords may come from ~/.pgpass or PGPASSWORD of the daemon's environment. Nothing is installed on the source;
it keeps WAL for the page server in one replication slot, until the tenant is deleted.

Example:
  pageserver-ctl tenant import prod --from postgres://replicator@db.example.com/postgres`,
    )
    .action((name: string, options: { from: string }) => importTenant(context(), name, options.from));
  tenant
    .command('list')
    .description('all tenants')
    .action(async () => {
      const tenants = await context().client().tenants();
      show(context(), { tenants }, () => list(tenants));
    });
  tenant
    .command('show <name>')
    .description('one tenant')
    .action(async (name: string) => show(context(), await context().client().tenant(name), describe));
  addTenantSet(tenant, context);
  tenant
    .command('delete <name>')
    .description('delete a tenant with all its branches, computes and pages, and its replication slot')
    .action(async (name: string) => {
      const gone = await context().client().deleteTenant(name);
      show(context(), gone, () => `deleted tenant ${gone.name}`);
      const left = gone.left_on_source;
      if (left !== undefined) {
        context().remark(
          `warning: the replication slot ${left.slot} is left on the source, which keeps WAL for it: ${left.reason}\n` +
            `Drop it there: ${left.sql};`,
        );
      }
    });
}

function list(tenants: Tenant[]): string {
  if (tenants.length === 0)
    return 'no tenants; import one with: pageserver-ctl tenant import NAME --from URL';
  const rows = tenants.map((t) => [
    t.name,
    t.state,
    t.server_version,
    t.last_record_lsn ?? '-',
    followingInShort(t),
    prettyBytes(t.stored_bytes ?? 0),
    t.branches,
  ]);
  return table(['NAME', 'STATE', 'POSTGRES', 'LSN', 'FOLLOWING', 'STORED', 'BRANCHES'], rows);
}

function describe(tenant: Tenant): string {
  const warning = warningOfUnsupported(tenant);
  const { unavailable } = tenant;
  const readable = tenant.readable_from_lsn
    ? `${tenant.readable_from_lsn} to ${tenant.last_record_lsn}`
    : 'nothing yet';
  return [
    `tenant          ${tenant.name} (${tenant.id})`,
    `state           ${tenant.state}${unavailable === undefined ? '' : `: ${unavailable.message} (${unavailable.code})`}`,
    `source          ${tenant.source_url ?? 'none: new databases start from it'} (system identifier ${tenant.system_identifier})`,
    `Postgres        ${tenant.server_version}, WAL segments of ${prettyBytes(tenant.wal_segment_bytes)}, ` +
      `page checksums ${tenant.data_checksums ? 'on' : 'off'}`,
    `readable LSNs   ${readable}`,
    ...following(tenant),
    `stored          ${prettyBytes(tenant.stored_bytes ?? 0)}`,
    ...garbageLines(tenant),
    `branches        ${tenant.branches}`,
    `created         ${tenant.created_at}`,
    ...(warning === undefined ? [] : [warning]),
  ].join('\n');
}
