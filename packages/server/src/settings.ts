import { isIPv6 } from 'node:net';
import { homedir } from 'node:os';
import { isAbsolute, resolve } from 'node:path';
import type { CgroupChoice } from '@offshoot/compute';
import { baseError, defaultDataDirectory } from '@offshoot/types';

/** Where something listens. Port 0: any free one. */
export interface Address {
  host: string;
  port: number;
}

/** Everything that the operator can choose. */
export interface Settings {
  /** Tenants, catalog, computes and the token live here. */
  dataDirectory: string;
  /** The management API. */
  apiListen: Address;
  /** Whether it speaks TLS there; on another address than loopback it does. */
  apiTls: 'off' | 'require';
  /** PEM files; both or neither. Without them the data directory has a certificate of its own. */
  apiTlsCertificateFile?: string;
  apiTlsKeyFile?: string;
  /** The page service on TCP, besides the Unix socket that local computes use. */
  pageListen?: Address;
  /** File whose content page service clients must give as their password. Without it: trust. */
  pageTokenFile?: string;
  /** PEM files; both or neither. With them TCP clients of the page service must use TLS. */
  tlsCertificateFile?: string;
  tlsKeyFile?: string;
  /** Where clients name a branch and are connected to it; absent: nowhere. */
  gatewayListen?: Address;
  /** What connection strings name as its host, where that is not the address that it listens on. */
  gatewayPublicHost?: string;
  /** Whether the gateway speaks TLS, and whether it takes clients that do not. */
  gatewayTls: 'off' | 'allow' | 'require';
  /** In TLS, the host name `NAME.DOMAIN` names branch `NAME`. */
  gatewaySniDomain?: string;
  /** PEM files; both or neither. Without them the data directory has a certificate of its own. */
  gatewayTlsCertificateFile?: string;
  gatewayTlsKeyFile?: string;
  /** Directory of `postgres`; default: the embedded Postgres. */
  pgBindir?: string;
  /** What reads dumps in pg_dump's own formats; default: the newest that is found. */
  pgRestore?: string;
  /** Where control groups of computes are made: below the daemon's own if that can be, nowhere, or in a directory. */
  cgroup: CgroupChoice;
  /** OS user that runs Postgres when the daemon is root. */
  osUser?: string;
  logLevel: 'debug' | 'info' | 'warn' | 'error';
  /** JSON file of limits and sizes; see `readSettingsFile`. */
  settingsFile?: string;
}

export const apiTlsPolicies = ['off', 'require'] as const;
export const gatewayTlsPolicies = ['off', 'allow', 'require'] as const;
export const logLevels = ['debug', 'info', 'warn', 'error'] as const;

/** What the command line gives, as text. */
export interface StartFlags {
  data?: string;
  apiListen?: string;
  apiTls?: string;
  apiTlsCert?: string;
  apiTlsKey?: string;
  pageListen?: string;
  pageTokenFile?: string;
  tlsCert?: string;
  tlsKey?: string;
  gatewayListen?: string;
  gatewayPublicHost?: string;
  gatewayTls?: string;
  gatewaySniDomain?: string;
  gatewayTlsCert?: string;
  gatewayTlsKey?: string;
  pgBindir?: string;
  pgRestore?: string;
  osUser?: string;
  cgroup?: string;
  logLevel?: string;
  settings?: string;
}

/** Flags over environment over defaults. Throws `invalid_argument` that names the flag. */
export function readSettings(flags: StartFlags, env: NodeJS.ProcessEnv): Settings {
  // An empty variable is one that somebody meant to unset.
  const choose = (flag: string | undefined, variable: string) => flag ?? (env[variable] || undefined);
  for (const [name, text] of Object.entries(flags)) notEmpty(`--${kebab(name)}`, text);
  const pageListen = choose(flags.pageListen, 'OFFSHOOT_PAGE_LISTEN');
  const settings: Settings = {
    dataDirectory: resolve(
      flags.data ?? defaultDataDirectory({ env, uid: process.getuid?.(), home: homedir() }),
    ),
    ...apiSettings(flags, choose),
    logLevel: oneOf('--log-level', choose(flags.logLevel, 'OFFSHOOT_LOG_LEVEL') ?? 'info', logLevels),
    cgroup: parseCgroup(choose(flags.cgroup, 'OFFSHOOT_CGROUP') ?? 'auto'),
    ...gatewaySettings(flags, choose),
    ...present(
      'pageListen',
      pageListen === undefined ? undefined : parseAddress('--page-listen', pageListen),
    ),
    ...present('pageTokenFile', choose(flags.pageTokenFile, 'OFFSHOOT_PAGE_TOKEN_FILE')),
    ...present('tlsCertificateFile', choose(flags.tlsCert, 'OFFSHOOT_TLS_CERT')),
    ...present('tlsKeyFile', choose(flags.tlsKey, 'OFFSHOOT_TLS_KEY')),
    ...present('pgBindir', choose(flags.pgBindir, 'OFFSHOOT_PG_BINDIR')),
    ...present('pgRestore', choose(flags.pgRestore, 'OFFSHOOT_PG_RESTORE')),
    ...present('settingsFile', choose(flags.settings, 'OFFSHOOT_SETTINGS')),
    ...present('osUser', choose(flags.osUser, 'OFFSHOOT_OS_USER')),
  };
  checkTogether(settings);
  return settings;
}

type Choose = (flag: string | undefined, variable: string) => string | undefined;

type ApiKey = Extract<keyof Settings, `api${string}`>;

function apiSettings(flags: StartFlags, choose: Choose): Pick<Settings, ApiKey> {
  const listen = choose(flags.apiListen, 'OFFSHOOT_API_LISTEN') ?? '127.0.0.1:0';
  const apiListen = parseAddress('--api-listen', listen);
  const cert = choose(flags.apiTlsCert, 'OFFSHOOT_API_TLS_CERT');
  const key = choose(flags.apiTlsKey, 'OFFSHOOT_API_TLS_KEY');
  if ((cert === undefined) !== (key === undefined)) {
    throw baseError(
      'invalid_argument',
      '--api-tls-cert and --api-tls-key belong together: give both or neither',
    );
  }
  const policy = choose(flags.apiTls, 'OFFSHOOT_API_TLS') ?? (key === undefined ? 'off' : 'require');
  const apiTls = oneOf('--api-tls', policy, apiTlsPolicies);
  if (apiTls === 'off' && key !== undefined) {
    throw baseError('invalid_argument', '--api-tls-cert and --api-tls off contradict each other');
  }
  if (apiTls === 'off' && !isLoopback(apiListen.host)) {
    throw baseError(
      'invalid_argument',
      `--api-listen ${apiListen.host} can be reached from other machines, and tokens are not for the wire: give ` +
        '--api-tls-cert and --api-tls-key, or --api-tls require for a certificate of its own',
    );
  }
  return {
    apiListen,
    apiTls,
    ...present('apiTlsCertificateFile', cert),
    ...present('apiTlsKeyFile', key),
  };
}

type GatewayKey = Extract<keyof Settings, `gateway${string}`>;

function gatewaySettings(flags: StartFlags, choose: Choose): Pick<Settings, GatewayKey> {
  const listen = choose(flags.gatewayListen, 'OFFSHOOT_GATEWAY_LISTEN') ?? '127.0.0.1:0';
  const address = listen === 'off' ? undefined : parseAddress('--gateway-listen', listen);
  const tls = choose(flags.gatewayTls, 'OFFSHOOT_GATEWAY_TLS');
  if (tls === undefined) requireLoopbackOrTls(address);
  return {
    ...present('gatewayListen', address),
    gatewayTls: oneOf('--gateway-tls', tls ?? 'allow', gatewayTlsPolicies),
    ...present('gatewayPublicHost', choose(flags.gatewayPublicHost, 'OFFSHOOT_GATEWAY_PUBLIC_HOST')),
    ...present('gatewaySniDomain', choose(flags.gatewaySniDomain, 'OFFSHOOT_GATEWAY_SNI_DOMAIN')),
    ...present('gatewayTlsCertificateFile', choose(flags.gatewayTlsCert, 'OFFSHOOT_GATEWAY_TLS_CERT')),
    ...present('gatewayTlsKeyFile', choose(flags.gatewayTlsKey, 'OFFSHOOT_GATEWAY_TLS_KEY')),
  };
}

/** Where others listen in, going without TLS is somebody's choice and no default. */
function requireLoopbackOrTls(listen: Address | undefined): void {
  if (listen === undefined || isLoopback(listen.host)) return;
  throw baseError(
    'invalid_argument',
    `--gateway-listen ${listen.host} can be reached from other machines: give --gateway-tls require too, or, where ` +
      'nobody else is on the network, --gateway-tls allow',
  );
}

function checkGateway(settings: Settings): void {
  const { gatewayPublicHost } = settings;
  if (gatewayPublicHost !== undefined && !isHost(gatewayPublicHost)) {
    throw baseError(
      'invalid_argument',
      `--gateway-public-host ${gatewayPublicHost} is no host: write a name or an address, without a port`,
    );
  }
  const { gatewayTls, gatewayTlsCertificateFile, gatewayTlsKeyFile } = settings;
  if ((gatewayTlsCertificateFile === undefined) !== (gatewayTlsKeyFile === undefined)) {
    throw baseError(
      'invalid_argument',
      '--gateway-tls-cert and --gateway-tls-key belong together: give both or neither',
    );
  }
  if (gatewayTls === 'off' && gatewayTlsKeyFile !== undefined) {
    throw baseError('invalid_argument', '--gateway-tls-cert and --gateway-tls off contradict each other');
  }
}

/** A name, or an address. */
function isHost(text: string): boolean {
  return isIPv6(text) || /^[A-Za-z0-9._-]{1,253}$/.test(text);
}

function checkTogether(settings: Settings): void {
  checkGateway(settings);
  if (settings.pageListen === undefined && (settings.pageTokenFile ?? settings.tlsKeyFile) !== undefined) {
    throw baseError(
      'invalid_argument',
      '--page-token-file, --tls-cert and --tls-key are about the page service on TCP: give --page-listen too',
    );
  }
  if ((settings.tlsCertificateFile === undefined) !== (settings.tlsKeyFile === undefined)) {
    throw baseError('invalid_argument', '--tls-cert and --tls-key belong together: give both or neither');
  }
  const { pageListen } = settings;
  if (pageListen !== undefined && !isLoopback(pageListen.host) && settings.pageTokenFile === undefined) {
    throw baseError(
      'invalid_argument',
      `--page-listen ${pageListen.host} can be reached from other machines: set --page-token-file too`,
    );
  }
}

function present<Key extends string, T>(key: Key, value: T | undefined): { [K in Key]?: T } {
  return value === undefined ? {} : ({ [key]: value } as { [K in Key]?: T });
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** An empty flag is a variable of the caller's that was not set. */
function notEmpty(flag: string, text: string | undefined): void {
  if (text === '') throw baseError('invalid_argument', `${flag} is empty`);
}

/** `host:port`, `[v6]:port`. */
export function parseAddress(flag: string, text: string): Address {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65535) {
    throw baseError(
      'invalid_argument',
      `${flag} ${JSON.stringify(text)} is no address: write HOST:PORT, like 127.0.0.1:0`,
    );
  }
  return { host, port };
}

function parseCgroup(text: string): CgroupChoice {
  if (text === 'auto' || text === 'off') return text;
  if (!isAbsolute(text)) {
    throw baseError(
      'invalid_argument',
      `--cgroup ${text}: write auto, off, or the absolute path of a control group`,
    );
  }
  return { path: text };
}

/** As `parseAddress` reads it. */
export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function oneOf<const Choice extends string>(flag: string, text: string, choices: readonly Choice[]): Choice {
  const choice = choices.find((known) => known === text);
  if (choice === undefined) {
    throw baseError('invalid_argument', `${flag} ${text}: choose one of ${choices.join(', ')}`);
  }
  return choice;
}
