import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type ComputeSettings,
  computePlaces,
  defaultLocalComputeLimits,
  LocalComputeDriver,
  type OsUser,
  resolveOsUser,
  resolvePostgres,
  spawnAs,
  TemplateCluster,
} from '@offshoot/compute';
import {
  ControlPlane,
  EventLog,
  gatewayMetrics,
  gatewayObserver,
  pageServiceMetrics,
} from '@offshoot/control';
import { findPgRestore } from '@offshoot/dump';
import type { Gateway } from '@offshoot/gateway';
import { type PageListenerSpec, PageServer, PageService, pageServerDefaults } from '@offshoot/pageserver';
import { baseError } from '@offshoot/types';
import { readDaemonFile, removeDaemonFile, writeDaemonFile } from './daemon-file.js';
import { openDataDirectory } from './data-directory.js';
import type { Log } from './log.js';
import {
  makePageSocketDirectory,
  pageSocketName,
  removePageSocketDirectory,
} from './page-socket-directory.js';
import { type Address, formatAddress, type Settings } from './settings.js';
import { readSettingsFile, type TuningSettings } from './settings-file.js';
import { makeApi } from './start-api.js';
import { gatewayFacts, startGateway } from './start-gateway.js';
import { readSecret, readTlsFiles } from './tls-files.js';
import { openTokenFile } from './token-file.js';
import { version } from './version.js';

/** A running page server with everything around it. */
export interface Daemon {
  apiUrl: string;
  /** Absent when it is not served with TLS. */
  apiTlsUrl: string | undefined;
  /** Absent when there is none. */
  gateway: Address | undefined;
  token: string;
  dataDirectory: string;
  /** Stops computes, services and storage, in that order. A second call waits for the same end. */
  close(): Promise<void>;
}

/** Ended operations that stay readable. */
const operationsEndedMax = 100;

/** What to undo when a later step of the start fails, and at the end: the last made goes first. */
class Teardown {
  readonly #steps: (() => Promise<unknown> | unknown)[] = [];
  #running: Promise<void> | undefined;

  add(step: () => Promise<unknown> | unknown): void {
    this.#steps.push(step);
  }

  run(): Promise<void> {
    this.#running ??= this.#run();
    return this.#running;
  }

  async #run(): Promise<void> {
    const failures: unknown[] = [];
    for (const step of this.#steps.reverse()) {
      try {
        await step();
      } catch (failure) {
        failures.push(failure);
      }
    }
    if (failures.length > 0)
      throw failures.length === 1
        ? failures[0]
        : new AggregateError(failures, 'several steps of the end failed');
  }
}

/** Starts everything or nothing. Throws OffshootErrors that say what stands in the way. */
export async function startDaemon(settings: Settings, log: Log): Promise<Daemon> {
  const teardown = new Teardown();
  try {
    return await start(settings, log, teardown);
  } catch (error) {
    await teardown
      .run()
      .catch((failure: unknown) => log.error({ err: failure }, 'clean-up after a failed start'));
    throw error;
  }
}

async function start(settings: Settings, log: Log, teardown: Teardown): Promise<Daemon> {
  const { dataDirectory } = settings;
  const tuning = settings.settingsFile === undefined ? {} : await readSettingsFile(settings.settingsFile);
  const osUser = await resolveOsUser(settings.osUser);
  await openDataDirectory(dataDirectory, osUser);
  const pageServer = await PageServer.open({
    dataDir: dataDirectory,
    settings: {
      store: { ...pageServerDefaults.store, ...tuning.store },
      import: { ...pageServerDefaults.import, ...tuning.import },
      computeWal: { ...pageServerDefaults.computeWal, ...tuning.computeWal },
      follow: { ...pageServerDefaults.follow, ...tuning.follow },
      retention: { ...pageServerDefaults.retention, ...tuning.retention },
    },
    log: (message, facts) => log.warn(facts, message),
  });
  teardown.add(() => pageServer.close());
  // From here on the directory is ours alone.
  const daemonFile = join(dataDirectory, 'daemon.json');
  const former = await readDaemonFile(daemonFile);
  const places = computePlaces(dataDirectory);
  const installation = await resolvePostgres({
    bindir: settings.pgBindir,
    cacheDirectory: places.cache,
    osUser,
  });
  if (typeof former?.socket_directory === 'string')
    await removePageSocketDirectory(former.socket_directory, osUser);
  const socketDirectory = await makePageSocketDirectory(places.run, osUser);
  teardown.add(() => removePageSocketDirectory(socketDirectory, osUser));
  const socketPath = join(socketDirectory, pageSocketName);
  const pageService = await startPageService(settings, tuning, pageServer, socketPath, log);
  teardown.add(() => pageService.close());

  const driver = await LocalComputeDriver.open({
    dataDirectory,
    installation,
    osUser,
    pageService: { kind: 'unix', path: socketPath },
    settings: tuning.compute as Partial<ComputeSettings> | undefined,
    limits: tuning.computeLimits,
    size: tuning.size,
    cgroup: settings.cgroup,
    onTrouble: (message, { error, ...facts }) => log.warn({ err: error, ...facts }, message),
  });
  teardown.add(() => driver.close());
  const swept = await driver.sweep();
  for (const { directory, error } of swept.left) {
    log.error({ err: error, directory }, 'what a former daemon left could not be removed');
  }
  if (swept.removedDirectories.length > 0) log.warn(swept, 'removed what a former daemon left');

  const template = new TemplateCluster({ directory: join(dataDirectory, 'template'), installation, osUser });
  await template.sweep();
  const events = EventLog.open(join(dataDirectory, 'events'), tuning.events);
  teardown.add(() => events.close());
  const startedAt = new Date();
  let gateway: Gateway | undefined;
  const control = new ControlPlane({
    pageServer,
    driver,
    operationsEndedMax,
    facts: {
      version,
      pid: process.pid,
      dataDirectory,
      startedAt,
      pageService: () => factsOf(pageService),
      gateway: () => (gateway === undefined ? undefined : gatewayFacts(gateway, settings)),
    },
    template,
    pgRestore: await pgRestoreOf(settings, installation.bindir, osUser),
    database: tuning.database,
    computesMax: tuning.computeLimits?.computesMax ?? defaultLocalComputeLimits.computesMax,
    wake: tuning.wake,
    quota: tuning.quota,
    expiry: tuning.expiry,
    access: tuning.access,
    events,
    onTrouble: (message, { branch, error }) => log.warn({ branch, err: error }, message),
    onComputeCrash: (branch, end) => log.error({ branch, reason: end.reason }, 'a compute has crashed'),
  });
  control.metrics.add(pageServiceMetrics(pageService));
  control.discardUnloaded();
  pageServer.addKeeper((timeline) => pageService.leases.held(timeline));
  pageServer.addKeeper((timeline) => control.keptFor(timeline));
  // Whoever keeps history has said so by now; nobody else can ask for any yet.
  pageServer.startRetention();
  const token = await openTokenFile(join(dataDirectory, 'token'));
  const api = await makeApi(control, settings, {
    token,
    onFailure: (err, request) => log.error({ err, ...request }, 'a request failed'),
  });
  teardown.add(() => api.close());
  // Whose computes are gone by then.
  teardown.add(() => gateway?.close());
  // First of these: who waits for a compute or an import then gets an answer, while the API still sends it.
  teardown.add(() => control.close());
  if (settings.gatewayListen !== undefined) {
    gateway = await startGateway(settings.gatewayListen, settings, log, {
      host: control,
      settings: tuning.gateway,
      observer: gatewayObserver(control.metrics),
    });
    control.metrics.add(gatewayMetrics(gateway));
    teardown.add(() => gateway?.retire());
  }
  const { url: apiUrl, tlsUrl: apiTlsUrl } = await api.listen();
  await writeDaemonFile(daemonFile, {
    pid: process.pid,
    api_url: apiUrl,
    ...(apiTlsUrl === undefined ? {} : { api_tls_url: apiTlsUrl }),
    page_service: [...pageService.addresses],
    ...(gateway === undefined ? {} : { gateway: formatAddress(gateway.address) }),
    socket_directory: socketDirectory,
  });
  teardown.add(() => removeDaemonFile(daemonFile));
  log.info(
    {
      apiUrl,
      apiTlsUrl,
      gateway: gateway?.address,
      pageService: pageService.addresses,
      postgres: installation,
      osUser: osUser.name,
      isolation: driver.isolation,
    },
    'ready',
  );
  return {
    apiUrl,
    apiTlsUrl,
    gateway: gateway?.address,
    token,
    dataDirectory,
    close: () => teardown.run(),
  };
}

/** Throws `invalid_argument` when the one that was named is not there. */
async function pgRestoreOf({ pgRestore }: Settings, bindir: string, osUser: OsUser) {
  if (pgRestore !== undefined) {
    await access(pgRestore, constants.X_OK).catch((cause: unknown) => {
      throw baseError('invalid_argument', `--pg-restore ${pgRestore} is no program that can be run`, {
        cause,
      });
    });
  }
  const path = pgRestore ?? (await findPgRestore(bindir));
  return path === undefined ? undefined : { path, user: spawnAs(osUser) };
}

async function startPageService(
  settings: Settings,
  tuning: Partial<TuningSettings>,
  source: PageServer,
  socketPath: string,
  log: Log,
): Promise<PageService> {
  // The directory around the socket lets only Postgres' user and this one in.
  const listeners: PageListenerSpec[] = [{ kind: 'unix', path: socketPath, mode: 0o666, auth: 'trust' }];
  const { pageListen, pageTokenFile } = settings;
  const token =
    pageTokenFile === undefined
      ? undefined
      : await readSecret({ flag: '--page-token-file', path: pageTokenFile });
  if (pageListen !== undefined) {
    const tls = await readTls(settings);
    listeners.push({ kind: 'tcp', ...pageListen, auth: token === undefined ? 'trust' : 'token', ...tls });
  }
  return PageService.start({
    source,
    listeners,
    settings: tuning.pageService ?? {},
    tokens: () => (token === undefined ? [] : [{ token, scope: 'all-tenants' }]),
    onAlert: (error) => log.error({ err: error }, 'page service'),
  });
}

async function readTls({ tlsCertificateFile: cert, tlsKeyFile: key }: Settings) {
  if (cert === undefined || key === undefined) return {};
  return {
    tls: await readTlsFiles({ flag: '--tls-cert', path: cert }, { flag: '--tls-key', path: key }),
  };
}

function factsOf({ addresses, counters }: PageService) {
  return {
    addresses: [...addresses],
    connections: counters.connectionsOpen,
    pages_served: counters.requests.get_page,
    bytes_sent: counters.bytesSent,
  };
}
