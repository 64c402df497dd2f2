import { lstat, mkdir, readdir, realpath, rm, rmdir, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PageServiceAddress } from './base-backup.js';
import { askActivity } from './compute-activity.js';
import type {
  ComputeDriver,
  ComputeEnd,
  ComputeSpec,
  ComputeStatus,
  RunningCompute,
  StopMode,
  SweepReport,
} from './compute-driver.js';
import { computeError } from './compute-errors.js';
import {
  type ComputePlaces,
  computePaths,
  computePlaces,
  isComputeId,
  randomComputeId,
} from './compute-paths.js';
import { type ComputeSettings, resolveComputeSettings } from './compute-settings.js';
import { checkParameters } from './configuration.js';
import { askFlushedLsn } from './flushed-lsn.js';
import { FreePorts, LOOPBACK } from './free-ports.js';
import { copyForUser } from './installation-copy.js';
import {
  type ComputeSize,
  resolveComputeSize,
  type SizeSettings,
  sizeDefaults,
  sizeOf,
  thisMachine,
} from './isolation/compute-size.js';
import { DiskGuard, type DiskUser } from './isolation/disk-guard.js';
import { Governor } from './isolation/governor.js';
import type { IsolationFacts } from './isolation/isolation.js';
import { localBytesOf } from './isolation/local-bytes.js';
import { type CgroupChoice, openIsolation } from './isolation/open-isolation.js';
import type { TroubleListener } from './isolation/trouble.js';
import { LocalCompute } from './local-compute.js';
import type { LocalComputeHost } from './local-compute-host.js';
import { defaultLocalComputeLimits, type LocalComputeLimits } from './local-compute-limits.js';
import { boundLog } from './log-file.js';
import type { OsUser } from './os-user.js';
import { OwnAccess } from './own-access.js';
import type { PostgresInstallation } from './postgres-installation.js';
import { assertEnterable, firstUnreachable } from './reachability.js';
import { removeLeftovers } from './remove-leftovers.js';
import { SpareDirectories } from './spare-directories.js';

export interface LocalComputeDriverOptions {
  /** The daemon's data directory, which exists. Computes live in `computes`, sockets in `run`. */
  readonly dataDirectory: string;
  readonly installation: PostgresInstallation;
  readonly osUser: OsUser;
  readonly pageService: PageServiceAddress;
  /** The page service's token, if it asks for one. A compute's superuser can read it. */
  readonly pageToken?: string | undefined;
  /** Default: the one that was built into this package. */
  readonly preloadLibrary?: string | undefined;
  /** Defaults of all computes. */
  readonly settings?: Partial<ComputeSettings> | undefined;
  readonly limits?: Partial<LocalComputeLimits> | undefined;
  /** Of computes that are not given another. */
  readonly size?: Partial<SizeSettings> | undefined;
  /** Default: `auto`. */
  readonly cgroup?: CgroupChoice | undefined;
  /** Told of what goes wrong where nobody waits for it. */
  readonly onTrouble?: TroubleListener | undefined;
  /** Names of new computes; a test can hold it. */
  readonly newId?: (() => string) | undefined;
  /** Where they listen; the same. */
  readonly ports?: FreePorts | undefined;
}

/** How long after the last start, or the daemon's. */
const REFILL_PAUSE_MS = 500;

/** Computes as processes of this machine, in directories of this daemon's. */
export class LocalComputeDriver implements ComputeDriver {
  readonly #computes = new Map<string, LocalCompute>();
  readonly #logCheck: NodeJS.Timeout;
  #isBoundingLogs = false;
  #isTidying = false;
  readonly #spares: SpareDirectories;
  /** Starts under way. */
  #starting = 0;
  #refill: NodeJS.Timeout | undefined;
  readonly #disk: DiskGuard;
  #state: 'open' | 'closed' = 'open';
  /** Checked once: it takes a process of the OS user. */
  #pageServiceReach: 'unknown' | 'reached' = 'unknown';

  private constructor(
    private readonly host: LocalComputeHost,
    private readonly newId: () => string,
  ) {
    const { places, osUser: owner, limits } = host;
    this.#spares = new SpareDirectories({
      ...{ places, owner, newId },
      sparesMax: limits.sparesMax,
      files: limits.spareFiles,
    });
    this.#disk = new DiskGuard({
      localBytesMax: limits.localBytesMax,
      diskFreeBytesMin: limits.diskFreeBytesMin,
      checkMs: limits.diskCheckMs,
      disk: async () => {
        const { bavail, bsize } = await statfs(places.computes);
        return { freeBytes: bavail * bsize };
      },
      users: () => this.#diskUsers(),
      onTrouble: host.onTrouble,
    });
    this.#logCheck = setInterval(() => void this.#boundLogs(), host.limits.logCheckMs).unref();
  }

  /** Throws `path_unreachable`, `preload_library_missing`, `compute_setting_invalid`. */
  static async open(options: LocalComputeDriverOptions): Promise<LocalComputeDriver> {
    const { osUser } = options;
    const data = await realpath(options.dataDirectory);
    const places = computePlaces(data);
    await makePlaces(places, osUser);
    const limits = { ...defaultLocalComputeLimits, ...options.limits };
    checkParameters(resolveComputeSettings(options.settings).parameters);
    const size = resolveComputeSize(sizeOf({ ...sizeDefaults, ...options.size }), sizeOf(sizeDefaults));
    const isolation = await openIsolation({
      choice: options.cgroup ?? 'auto',
      dataDirectory: data,
      processesMax: limits.processesMax,
      onTrouble: options.onTrouble,
    });
    const host = {
      places,
      installation: options.installation,
      osUser,
      pageService: options.pageService,
      pageToken: options.pageToken,
      preloadLibrary: await findPreloadLibrary(options.preloadLibrary, places, osUser),
      settings: options.settings ?? {},
      size,
      isolation,
      governor: new Governor({ isolation, lookMs: limits.lookMs }),
      limits,
      ports: options.ports ?? new FreePorts(),
      onTrouble: options.onTrouble,
    };
    return new LocalComputeDriver(host, options.newId ?? randomComputeId);
  }

  async start(spec: ComputeSpec, signal?: AbortSignal): Promise<RunningCompute> {
    await this.#reachPageService();
    const compute = this.#admit(spec);
    this.#starting += 1;
    const start = await compute.start(signal).finally(() => this.#startEnded());
    const { connectAs, connectAsNow } = spec;
    const access = new OwnAccess({ as: start.connectedAs, connectAs, connectAsNow });
    return {
      id: compute.id,
      tenantId: spec.tenantId,
      timelineId: spec.timelineId,
      baseLsn: spec.baseLsn,
      access: spec.access ?? 'read_write',
      startedAt: compute.startedAt,
      host: LOOPBACK,
      ...compute.address,
      dataDirectory: compute.paths.dataDirectory,
      logFile: compute.paths.logFile,
      ending: compute.ending,
      ended: compute.ended,
      flushedLsn: (flushSignal) =>
        access.run(flushSignal, (as) => askFlushedLsn(compute.address, as, flushSignal)),
      applyRoles: (roles, sessions, applySignal) =>
        access.run(applySignal, (as) => compute.applyRoles(as, roles, sessions, applySignal)),
      activity: (askSignal) => access.run(askSignal, (as) => askActivity(compute.address, as, askSignal)),
      usage: () => compute.usage(),
      statements: () => compute.statements(),
      resize: (cpu) => compute.resize(cpu),
      exceed: (reason) => compute.exceed(reason),
      refuseWrites: (refusal) => compute.refuseWrites(refusal),
      sayFarewell: (message) => compute.sayFarewell(message),
      ...start,
      get connectedAs() {
        return access.current;
      },
    };
  }

  async stop(id: string, mode: StopMode = 'immediate'): Promise<ComputeEnd> {
    const compute = this.#computes.get(id);
    if (compute === undefined) {
      throw computeError('compute_not_found', `no compute ${id} is running`, { details: { compute: id } });
    }
    return compute.stop(mode);
  }

  list(): readonly ComputeStatus[] {
    return [...this.#computes.values()].map((compute) => ({
      id: compute.id,
      tenantId: compute.spec.tenantId,
      timelineId: compute.spec.timelineId,
      baseLsn: compute.spec.baseLsn,
      state: compute.state,
      ...(compute.pid === undefined ? {} : { pid: compute.pid }),
    }));
  }

  get isolation(): IsolationFacts {
    return this.host.isolation.facts;
  }

  readonly cores = thisMachine().cores;

  get defaultSize(): ComputeSize {
    return this.host.size;
  }

  async sweep(): Promise<SweepReport> {
    const killedPids: number[] = [...(await this.host.isolation.sweep())];
    const report = await this.#removeStrangers();
    await this.#pruneEnded();
    this.#refillLater();
    return { ...report, killedPids: [...killedPids, ...report.killedPids] };
  }

  async #removeStrangers(): Promise<SweepReport> {
    const { places, osUser, limits } = this.host;
    const left: { directory: string; error: unknown }[] = [];
    const killedPids: number[] = [];
    const removedDirectories: string[] = [];
    for (const id of await this.#strangers()) {
      const paths = computePaths(places, id);
      try {
        const killed = await removeLeftovers(paths, id, osUser, 'may be left', limits.removalTimeoutMs);
        killedPids.push(...killed);
        removedDirectories.push(paths.dataDirectory);
      } catch (error) {
        left.push({ directory: paths.dataDirectory, error });
      }
    }
    return { killedPids, removedDirectories, left };
  }

  async close(): Promise<void> {
    this.#state = 'closed';
    clearInterval(this.#logCheck);
    clearTimeout(this.#refill);
    this.#disk.close();
    await Promise.all([
      this.#spares.close(),
      ...[...this.#computes.values()].map((compute) =>
        compute.stop(compute.spec.wal === undefined ? 'immediate' : 'fast'),
      ),
    ]);
    await this.host.isolation.close();
  }

  #diskUsers(): DiskUser[] {
    return [...this.#computes.values()].map((compute) => ({
      // With its log, which whoever works there can fill.
      measure: () => localBytesOf(compute.paths.root),
      exceed: (reason) => compute.exceed(reason),
    }));
  }

  #admit(spec: ComputeSpec): LocalCompute {
    const { computesMax } = this.host.limits;
    if (this.#state === 'closed') {
      throw computeError('compute_start_cancelled', 'computes are being stopped');
    }
    if (spec.connectAs.length === 0) {
      throw computeError('compute_setting_invalid', 'connectAs is empty: no query could be asked');
    }
    if (this.#computes.size >= computesMax) {
      throw computeError('computes_exhausted', `${computesMax} computes are running; stop one first`, {
        details: { computesMax },
      });
    }
    const spare = this.#spares.take();
    const compute = new LocalCompute(spare?.id ?? this.newId(), spec, this.host, spare);
    this.#computes.set(compute.id, compute);
    compute.ended.then(() => this.#forget(compute.id));
    return compute;
  }

  /** What the next starts need is made when none is under way, and whoever woke this one has begun to work. */
  #startEnded(): void {
    this.#starting -= 1;
    this.#refillLater();
  }

  #refillLater(): void {
    clearTimeout(this.#refill);
    if (this.#starting === 0 && this.#state === 'open') {
      this.#refill = setTimeout(() => void this.#spares.refill('gentle'), REFILL_PAUSE_MS).unref();
    }
  }

  async #forget(id: string): Promise<void> {
    this.#computes.delete(id);
    if (this.#isTidying) return;
    this.#isTidying = true;
    // A log too many, or what others that ended have left, is no reason to fail; the next end tries again.
    await this.#removeStrangers().catch(() => undefined);
    await this.#pruneEnded().catch(() => undefined);
    this.#isTidying = false;
  }

  async #reachPageService(): Promise<void> {
    const { osUser, pageService } = this.host;
    if (this.#pageServiceReach === 'reached' || osUser.kind === 'same' || pageService.kind === 'tcp') {
      return;
    }
    await assertEnterable(osUser, dirname(pageService.path));
    if ((await firstUnreachable(osUser, [pageService.path], 'connect')) !== undefined) {
      throw computeError(
        'path_unreachable',
        `Postgres runs as ${osUser.name}, who cannot connect to the page service's socket ${pageService.path}`,
        { details: { user: osUser.name, path: pageService.path } },
      );
    }
    this.#pageServiceReach = 'reached';
  }

  /** Directories of computes that are not ours, and hold more than a log. */
  async #strangers(): Promise<string[]> {
    const ids = await this.#directories();
    const found = await Promise.all(
      ids.map(async (id) => {
        const { dataDirectory, socketRecord } = computePaths(this.host.places, id);
        return (await exists(dataDirectory)) || (await exists(socketRecord)) ? [id] : [];
      }),
    );
    return found.flat();
  }

  /** Ids that have a directory and are not among the computes of this driver. */
  async #directories(): Promise<string[]> {
    const names = await readdir(this.host.places.computes);
    return names.filter((name) => isComputeId(name) && !this.#computes.has(name) && !this.#spares.has(name));
  }

  async #pruneEnded(): Promise<void> {
    const { places, limits } = this.host;
    const ids = await this.#directories();
    if (ids.length <= limits.endedMax) {
      return;
    }
    const ages = await Promise.all(
      ids.map(async (id) => ({ id, mtimeMs: (await lstat(join(places.computes, id))).mtimeMs })),
    );
    const oldest = ages.sort((a, b) => a.mtimeMs - b.mtimeMs).slice(0, ids.length - limits.endedMax);
    for (const { id } of oldest) {
      const { root, logDirectory } = computePaths(places, id);
      await rm(logDirectory, { recursive: true, force: true });
      // What could not be emptied stays for the next sweep.
      await rmdir(root).catch(() => undefined);
    }
  }

  async #boundLogs(): Promise<void> {
    if (this.#isBoundingLogs) return;
    this.#isBoundingLogs = true;
    for (const { paths } of [...this.#computes.values()]) {
      // Tried again at the next check.
      await boundLog(paths.logFile, this.host.limits.logBytesMax).catch(() => undefined);
    }
    this.#isBoundingLogs = false;
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

async function makePlaces(places: ComputePlaces, osUser: OsUser): Promise<void> {
  // Another user passes through and cannot list; the computes' own directories are for that user alone.
  const mode = osUser.kind === 'other' ? 0o711 : 0o700;
  for (const place of [places.computes, places.run]) {
    await mkdir(place, { recursive: true, mode });
  }
  await assertEnterable(osUser, places.computes);
  await assertEnterable(osUser, places.run);
}

/** Where the OS user can read it: a copy, if that user cannot read the original. */
async function findPreloadLibrary(
  given: string | undefined,
  places: ComputePlaces,
  osUser: OsUser,
): Promise<string> {
  const library = given ?? fileURLToPath(new URL('../native/liboffshoot_preload.so', import.meta.url));
  if (!(await exists(library))) {
    throw computeError(
      'preload_library_missing',
      `there is no ${library}, the library through which Postgres reads pages; the set-up builds it`,
      { details: { library } },
    );
  }
  if (osUser.kind === 'same' || (await firstUnreachable(osUser, [library], 'read')) === undefined) {
    return library;
  }
  return copyForUser(library, places.cache, osUser);
}
