import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError, type OffshootClient, type Tenant, type UpdateTenantRequest } from '@offshoot/client';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Context, show } from '../context.js';
import { prettyBytes } from '../table.js';
import { parseSize } from './branch-limits.js';

const pollMs = 200;

/** `gc run`. */
export function addGcCommands(program: Command, context: () => Context): void {
  const gc = program.command('gc').description('garbage collection: what is removed from the stores');
  gc.command('run [tenant]')
    .description('remove now what nobody can read any more, of one tenant or of all; returns at its end')
    .addHelpText(
      'after',
      `
The page server does this by itself again and again (setting intervalMs). What is kept: tenant show NAME; to change it:
tenant set NAME --keep-history 3d. Where branches start is always kept, and what computes and leases read.`,
    )
    .action(async (name?: string) => {
      const client = context().client();
      const active = async () => (await client.tenants()).filter(({ state }) => state === 'active');
      const names = name === undefined ? (await active()).map((tenant) => tenant.name) : [name];
      const tenants: Tenant[] = [];
      for (const each of names) tenants.push(await collect(context(), client, each));
      show(context(), { tenants }, () =>
        tenants.map((tenant) => [tenant.name, ...garbageLines(tenant)].join('\n')).join('\n'),
      );
    });
}

async function collect(context: Context, client: OffshootClient, name: string): Promise<Tenant> {
  let operation = await client.collectGarbage(name);
  while (operation.state === 'running') {
    context.progress(`removing what is not kept of ${name}`);
    await sleep(pollMs, undefined, { signal: context.interrupted });
    operation = await client.operation(operation.id);
  }
  context.progress('');
  if (operation.error !== undefined) throw new ApiError(operation.error);
  return await client.tenant(name);
}

/** `tenant set`. */
export function addTenantSet(tenant: Command, context: () => Context): void {
  tenant
    .command('set <name>')
    .description('change what history is kept of a tenant')
    .addOption(
      new Option(
        '--keep-history <time>',
        'so much before the newest commit can be read and branched from: 90s, 12h, 7d; all; or default (the setting ' +
          'historySeconds)',
      ).argParser(parseHistory),
    )
    .addOption(
      new Option(
        '--keep-wal <size>',
        'and no more than so much WAL before the end: 10GiB; any; or default (the setting historyWalBytesMax)',
      ).argParser(parseWal),
    )
    .action(async (name: string, options: { keepHistory?: Choice; keepWal?: Choice }) => {
      const request: UpdateTenantRequest = {
        ...(options.keepHistory === undefined ? {} : { history_seconds: options.keepHistory.value }),
        ...(options.keepWal === undefined ? {} : { history_wal_bytes_max: options.keepWal.value }),
      };
      const changed = await context().client().updateTenant(name, request);
      show(context(), changed, () => historyLine(changed));
    });
}

/** `null`: the page server's setting. */
interface Choice {
  readonly value: number | null;
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

export function parseHistory(text: string): Choice {
  if (text === 'default') return { value: null };
  if (text === 'all') return { value: 0 };
  const [, count, unit] = /^([1-9]\d{0,8})([smhd])$/.exec(text) ?? [];
  const seconds = Number(count) * (SECONDS[unit ?? ''] ?? Number.NaN);
  if (!(seconds <= 3_153_600_000)) {
    throw new InvalidArgumentError('write a time like 90s, 30m, 12h or 7d, or all, or default');
  }
  return { value: seconds };
}

function parseWal(text: string): Choice {
  if (text === 'default') return { value: null };
  return { value: text === 'any' ? 0 : parseSize(text) };
}

function historyLine({ history }: Tenant): string {
  const time =
    history.seconds === 0 ? 'all of it' : `${prettySeconds(history.seconds)} before the newest commit`;
  const wal =
    history.wal_bytes_max === 0 ? '' : `, no more than ${prettyBytes(history.wal_bytes_max)} of WAL`;
  return `history kept    ${time}${wal}`;
}

function prettySeconds(seconds: number): string {
  const unit = ['d', 'h', 'm'].find((each) => seconds % (SECONDS[each] ?? 1) === 0) ?? 's';
  return `${seconds / (SECONDS[unit] ?? 1)} ${unit}`;
}

/** Lines of the description of a tenant. */
export function garbageLines(tenant: Tenant): string[] {
  const { garbage } = tenant;
  const last = garbage.last_round;
  const when =
    last === undefined
      ? 'no round since the start'
      : `last round ended ${last.ended_at}, ${(last.duration_ms / 1000).toFixed(1)} s`;
  return [
    historyLine(tenant),
    `removed         ${garbage.versions_removed} versions, ${prettyBytes(garbage.bytes_removed)}, in ${garbage.rounds} rounds; ` +
      `${garbage.running ? 'a round is under way' : when}`,
    `reclaimed       ${prettyBytes(garbage.bytes_reclaimed)} of ${garbage.branches_reclaimed} deleted branches`,
    ...(garbage.damaged === 0
      ? []
      : [`warning         ${garbage.damaged} places in the store make no sense, and were left as they are`]),
  ];
}
