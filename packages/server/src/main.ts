import { asOffshootError } from '@offshoot/types';
import { Command, CommanderError } from 'commander';
import { type Daemon, startDaemon } from './daemon.js';
import { type Log, openLog } from './log.js';
import { formatAddress, readSettings, type StartFlags } from './settings.js';
import { defaultTuning } from './settings-file.js';
import { version } from './version.js';

/** Exit codes: done; refused or failed; wrong usage. */
const done = 0;
const failed = 1;
const wrongUsage = 2;

/** Runs one command line (without the program's name) and answers its exit code. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    await program().parseAsync(args, { from: 'user' });
    return done;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? done : wrongUsage;
    const known = asOffshootError(error);
    const action = known.details.action ?? known.declaration.action;
    process.stderr.write(`error: ${known.message}\n${action === undefined ? '' : `  ${action}\n`}`);
    return known.code === 'invalid_argument' ? wrongUsage : failed;
  }
}

function program(): Command {
  const top = new Command('pageserver')
    .description('A copy-on-write page server for Postgres. Control it with pageserver-ctl.')
    .version(version)
    .showHelpAfterError('(add --help for what is possible)')
    .exitOverride();
  top
    .command('start')
    .description('run the page server, its computes and its management API until SIGTERM, SIGINT or SIGHUP')
    .option(
      '--data <dir>',
      'data directory, made when absent ($OFFSHOOT_DATA, default ~/.offshoot, for root /var/lib/offshoot)',
    )
    .option(
      '--api-listen <host:port>',
      'management API ($OFFSHOOT_API_LISTEN, default 127.0.0.1:0); on another address than loopback with TLS',
    )
    .option(
      '--api-tls <policy>',
      'off or require TLS of its clients ($OFFSHOOT_API_TLS, default require with --api-tls-cert, else off)',
    )
    .option(
      '--api-tls-cert <file>',
      'its certificate chain, PEM ($OFFSHOOT_API_TLS_CERT, default one of its own)',
    )
    .option('--api-tls-key <file>', 'its private key, PEM ($OFFSHOOT_API_TLS_KEY)')
    .option('--page-listen <host:port>', 'page service on TCP as well ($OFFSHOOT_PAGE_LISTEN, default none)')
    .option(
      '--page-token-file <file>',
      'password that page service clients must give ($OFFSHOOT_PAGE_TOKEN_FILE)',
    )
    .option('--tls-cert <file>', 'certificate chain for the page service on TCP, PEM ($OFFSHOOT_TLS_CERT)')
    .option('--tls-key <file>', 'its private key, PEM ($OFFSHOOT_TLS_KEY)')
    .option(
      '--gateway-listen <host:port>',
      'where clients name a branch and are connected to it, or off ' +
        '($OFFSHOOT_GATEWAY_LISTEN, default 127.0.0.1:0)',
    )
    .option(
      '--gateway-public-host <host>',
      'host that connection strings name ($OFFSHOOT_GATEWAY_PUBLIC_HOST, default the address that it listens on)',
    )
    .option(
      '--gateway-tls <policy>',
      'off, allow or require TLS of its clients ($OFFSHOOT_GATEWAY_TLS, default on loopback allow; else you have to say)',
    )
    .option(
      '--gateway-sni-domain <domain>',
      'in TLS, host name NAME.DOMAIN names branch NAME ($OFFSHOOT_GATEWAY_SNI_DOMAIN, default none)',
    )
    .option(
      '--gateway-tls-cert <file>',
      'its certificate chain, PEM ($OFFSHOOT_GATEWAY_TLS_CERT, default one of its own)',
    )
    .option('--gateway-tls-key <file>', 'its private key, PEM ($OFFSHOOT_GATEWAY_TLS_KEY)')
    .option(
      '--pg-bindir <dir>',
      'Postgres 15 to run computes with ($OFFSHOOT_PG_BINDIR, default the embedded one)',
    )
    .option(
      '--pg-restore <file>',
      "the pg_restore that reads dumps in pg_dump's own formats ($OFFSHOOT_PG_RESTORE, default the newest that is found)",
    )
    .option(
      '--cgroup <where>',
      "auto: each compute in a control group (v2) below the page server's own, if that can be; off; or the directory " +
        'of the group to make them in ($OFFSHOOT_CGROUP, default auto)',
    )
    .option('--os-user <name>', 'user that runs Postgres when started as root ($OFFSHOOT_OS_USER)')
    .option(
      '--settings <file>',
      'limits and sizes, as JSON ($OFFSHOOT_SETTINGS; defaults: pageserver settings)',
    )
    .option('--log-level <level>', 'debug, info, warn or error ($OFFSHOOT_LOG_LEVEL, default info)')
    .addHelpText(
      'after',
      `
Port 0 means any free port; the addresses in use are written to DIR/daemon.json, the API's token to DIR/token,
where pageserver-ctl finds both. Logs go to stderr as JSON lines.`,
    )
    .exitOverride()
    .action((flags: StartFlags) => runUntilSignal(flags));
  top
    .command('settings')
    .description('print every limit and size with its default, as JSON that --settings takes')
    .exitOverride()
    .action(() => {
      process.stdout.write(`${JSON.stringify(defaultTuning(), null, 2)}\n`);
    });
  return top;
}

/** Longest orderly end. What is left then, the operating system ends; the store is durable at every moment. */
const shutdownMsMax = 60_000;

async function runUntilSignal(flags: StartFlags): Promise<void> {
  const settings = readSettings(flags, process.env);
  const log = openLog(settings.logLevel);
  logWhatEndsTheProcess(log);
  const stopped = firstSignal(log);
  // Nobody may be reading any more.
  process.stdout.on('error', () => {});
  const daemon = await startDaemon(settings, log);
  process.stdout.write(
    `page server ready: API at ${daemon.apiTlsUrl ?? daemon.apiUrl}, ${gatewayWords(daemon)}data in ${settings.dataDirectory}\n` +
      `control it with: pageserver-ctl --data ${settings.dataDirectory} status\n`,
  );
  log.info({ signal: await stopped }, 'shutting down');
  const deadline = setTimeout(() => {
    log.error({ shutdownMsMax }, 'shutting down takes too long: ending at once');
    process.exit(failed);
  }, shutdownMsMax).unref();
  await daemon.close();
  clearTimeout(deadline);
}

function gatewayWords({ gateway }: Daemon): string {
  return gateway === undefined ? '' : `gateway at ${formatAddress(gateway)}, `;
}

const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const;

/** Resolves with the first signal that asks for the end; a second one does not ask. */
function firstSignal(log: Log): Promise<string> {
  return new Promise((resolve) => {
    let asked = false;
    const onSignal = (signal: NodeJS.Signals) => {
      if (asked) {
        log.warn({ signal }, 'a second signal: ending at once');
        process.exit(exitCodes[signal as keyof typeof exitCodes]);
      }
      asked = true;
      resolve(signal);
    };
    for (const signal of Object.keys(exitCodes)) process.on(signal, onSignal);
    // A closed terminal may say it twice, and does not ask for haste.
    process.on('SIGHUP', resolve);
  });
}

/** A mistake in the program ends it, and its computes with it, as a kill would; the log says why. */
function logWhatEndsTheProcess(log: Log): void {
  process.on('uncaughtException', (err, origin) => {
    log.fatal({ err, origin }, 'a mistake in the program: ending at once');
    process.exit(failed);
  });
}
