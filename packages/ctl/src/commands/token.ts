import type { CreatedToken, Token, TokenScope } from '@offshoot/client';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Context, show } from '../context.js';
import { table } from '../table.js';

interface CreateOptions {
  scope: TokenScope;
  from: string[];
  reach?: 'own' | 'parents';
  ttl?: number;
}

/** `token create|list|revoke`. */
export function addTokenCommands(program: Command, context: () => Context): void {
  const token = program
    .command('token')
    .description('tokens of the management API: for agents, pipelines and dashboards');
  token
    .command('create <name>')
    .description('make a token and print its secret, this once; only a hash of it is kept')
    .addOption(
      new Option('--scope <scope>', 'what it may do; see below')
        .choices(['admin', 'read', 'branch'])
        .default('branch'),
    )
    .option('--from <branch>', 'of scope branch: what it may branch; may be given several times', collect, [])
    .addOption(
      new Option(
        '--reach <reach>',
        'of scope branch: work with its own branches and what comes of those (own, the default), or with all that come ' +
          'of its parents',
      ).choices(['own', 'parents']),
    )
    .option('--ttl <time>', 'refuse it after so long: 90s, 30m, 12h, 30d (default: never)', parseTtl)
    .addHelpText('after', scopesHelp)
    .action(async (name: string, { scope, from, reach, ttl }: CreateOptions) => {
      const request = {
        name,
        scope,
        ...(from.length === 0 ? {} : { parents: from }),
        ...(reach === undefined ? {} : { reach }),
        ...(ttl === undefined ? {} : { ttl_seconds: ttl }),
      };
      show(context(), await context().client().createToken(request), created);
    });
  token
    .command('list')
    .description('all tokens, without their secrets, and when they were last used')
    .action(async () => {
      const tokens = await context().client().tokens();
      show(context(), { tokens }, () => list(tokens));
    });
  token
    .command('revoke <token>')
    .description('refuse a token, by its id or name, from now on; branches that it made stay')
    .action(async (name: string) => {
      show(context(), await context().client().revokeToken(name), (gone) => `revoked token ${gone.name}`);
    });
}

const scopesHelp = `
Scopes:
  branch  makes branches of the branches that --from names, and works with the branches that come of that; of --from
          itself it sees what it is, and gets neither a connection nor a change. It sees no tenants.
  read    sees everything, metrics too, and changes nothing
  admin   everything, tokens too

Examples:
  pageserver-ctl token create agent-7 --from prod --ttl 12h
  pageserver-ctl token create grafana --scope read
  pageserver-ctl token revoke agent-7`;

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** In seconds. */
function parseTtl(text: string): number {
  const [, count, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  if (count === undefined || unit === undefined || Number(count) === 0) {
    throw new InvalidArgumentError('write a time like 90s, 30m, 12h or 30d');
  }
  return Number(count) * (SECONDS[unit] ?? 1);
}

function created({ token, secret }: CreatedToken): string {
  const until = token.expires_at === undefined ? 'it never expires' : `it expires at ${token.expires_at}`;
  return [
    `created token ${token.name} of scope ${token.scope}; ${until}`,
    `  secret, told this once: ${secret}`,
    `  use it: OFFSHOOT_TOKEN=${secret} pageserver-ctl --url URL branch list`,
  ].join('\n');
}

function list(tokens: readonly Token[]): string {
  if (tokens.length === 0) return 'no tokens but the one in the data directory';
  const rows = tokens.map(({ name, scope, parents, reach, state, expires_at, last_used_at, created_by }) => [
    name,
    scope,
    parents === undefined ? '' : `${parents.join(',')}${reach === 'parents' ? ' and all of theirs' : ''}`,
    state,
    expires_at ?? 'never',
    last_used_at ?? 'never',
    created_by.name,
  ]);
  return table(['NAME', 'SCOPE', 'BRANCHES', 'STATE', 'EXPIRES', 'LAST USED', 'MADE BY'], rows);
}
