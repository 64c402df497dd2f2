import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Status } from '@offshoot/client';
import type {
  BranchRoles,
  ComputeDriver,
  ComputeEnd,
  ComputeSpec,
  OpenSessions,
  RunningCompute,
} from '@offshoot/compute';
import { Catalog, PageServer } from '@offshoot/pageserver';
import { type Lsn, parseTenantName, randomTenantId } from '@offshoot/types';
import { ControlPlane, type ControlPlaneOptions } from '../control-plane.js';

export const IMPORTED = 0x200_0138n as Lsn;

interface FakeCompute {
  readonly spec: ComputeSpec;
  readonly end: (end: ComputeEnd) => void;
  readonly beginToEnd: () => void;
  readonly ended: Promise<ComputeEnd>;
}

/** Computes without processes; a start or stop takes until its gate is opened. */
export class FakeDriver implements ComputeDriver {
  readonly started: ComputeSpec[] = [];
  readonly running = new Map<string, FakeCompute>();
  /** Awaited by each start and stop. */
  startGate: Promise<void> = Promise.resolve();
  stopGate: Promise<void> = Promise.resolve();
  /** What computes answer when they are asked to flush. */
  flushedLsn: RunningCompute['flushedLsn'] = async () => IMPORTED;
  /** What computes answer when they are asked for their sessions; by timeline, else none. */
  readonly sessions = new Map<string, number>();
  activity: RunningCompute['activity'] | undefined;
  /** By timeline, when statements began on its computes; else none did. */
  readonly statements = new Map<string, ReturnType<RunningCompute['statements']>>();
  /** What running computes were told of roles, and how they take it. */
  readonly applied: {
    readonly compute: string;
    readonly roles: BranchRoles;
    readonly sessions: OpenSessions;
  }[] = [];
  applyFailure: Error | undefined;
  readonly isolation = { means: 'priorities', reason: 'a test', enforced: [], notEnforced: [] } as const;
  readonly cores = 2;
  readonly defaultSize = { cpuMin: 0.25, cpuMax: 2, memoryBytes: 2 ** 31 };
  /** What computes were resized to, and with which words they refuse writes. */
  readonly exceeded = new Map<string, string>();
  readonly resized: string[] = [];
  readonly refused = new Map<string, string | undefined>();
  readonly farewells: string[] = [];
  /** Rejects each start. */
  startFailure: Error | undefined;
  /** Starts under way, and the most that there were at one time. */
  starting = 0;
  startingMost = 0;
  #closed = false;

  async start(spec: ComputeSpec, signal?: AbortSignal): Promise<RunningCompute> {
    this.started.push(spec);
    const aborted = new Promise<never>((_, reject) =>
      signal?.addEventListener('abort', () => reject(signal.reason)),
    );
    this.starting += 1;
    this.startingMost = Math.max(this.starting, this.startingMost);
    const id = `c${this.started.length}`;
    await Promise.race([this.startGate, aborted]).finally(() => {
      this.starting -= 1;
    });
    if (this.startFailure !== undefined) throw this.startFailure;
    if (this.#closed) throw new Error('computes are being stopped');
    let end: (end: ComputeEnd) => void = () => {};
    const ended = new Promise<ComputeEnd>((resolve) => {
      end = resolve;
    });
    let beginToEnd: () => void = () => {};
    const ending = new Promise<void>((resolve) => {
      beginToEnd = resolve;
    });
    void ended.then(beginToEnd);
    this.running.set(id, { spec, end, ended, beginToEnd });
    void ended.then(() => this.running.delete(id));
    return {
      id,
      ...spec,
      pid: 1,
      access: spec.access ?? 'read_write',
      walStart: spec.baseLsn,
      startedAt: new Date(0),
      socketDirectory: `/sockets/${id}`,
      port: 10_000 + Number(id.slice(1)),
      host: '127.0.0.1',
      dataDirectory: `/computes/${id}`,
      logFile: `/computes/${id}/log`,
      connectedAs: { user: 'postgres', database: 'postgres' },
      timings: {
        base_backup: 1,
        configure: 1,
        spawn: 1,
        postmaster: 1,
        first_query: 1,
        wal: 1,
        roles: 0,
        total: 6,
      },
      ending,
      ended,
      activity: async (signal) =>
        this.activity?.(signal) ?? { sessions: this.sessions.get(spec.timelineId) ?? 0 },
      applyRoles: (roles, sessions, signal) => this.applyRoles(id, roles, sessions, signal),
      flushedLsn: (signal) => this.flushedLsn(signal),
      statements: () => this.statements.get(spec.timelineId) ?? { first: undefined, newest: undefined },
      usage: () => ({ cpuShare: 1, cpuUsed: 0, memoryBytes: 0, processes: 6 }),
      resize: ({ cpuMin, cpuMax }) => this.resized.push(`${cpuMin} to ${cpuMax}`),
      exceed: (reason) => this.exceeded.set(id, reason),
      refuseWrites: (refusal) => {
        this.refused.set(id, refusal?.message);
      },
      sayFarewell: (message) => this.farewells.push(message),
    };
  }

  async stop(id: string): Promise<ComputeEnd> {
    const compute = this.running.get(id);
    if (compute === undefined) throw new Error(`no compute ${id} is running`);
    compute.beginToEnd();
    await this.stopGate;
    compute.end({ state: 'stopped', reason: 'it was stopped' });
    return compute.ended;
  }

  async applyRoles(
    compute: string,
    roles: BranchRoles,
    sessions: OpenSessions,
    _signal: AbortSignal,
  ): Promise<void> {
    if (this.applyFailure !== undefined) throw this.applyFailure;
    this.applied.push({ compute, roles, sessions });
  }

  /** It takes no more connections, and has not ended yet. */
  beginToEnd(id: string): void {
    this.running.get(id)?.beginToEnd();
  }

  crash(id: string, reason: string): void {
    this.running.get(id)?.end({ state: 'crashed', reason });
  }

  list(): never[] {
    return [];
  }

  async sweep() {
    return { killedPids: [], removedDirectories: [], left: [] };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.running.keys()].map((id) => this.stop(id)));
  }
}

/** A control plane over a real page server whose tenants hold no pages, and computes that are not there. */
export class ControlFixture implements AsyncDisposable {
  /** What the gateway says of itself, when there is one. */
  gateway: Status['gateway'];

  private constructor(
    private readonly dataDir: string,
    readonly pageServer: PageServer,
    readonly driver: FakeDriver,
    readonly control: ControlPlane,
    /** Branches whose compute has crashed. */
    readonly crashes: readonly string[],
    /** Another control plane on the same page server, as after a restart; whoever asks closes it. */
    readonly again: () => ControlPlane,
  ) {}

  /** The stores of `broken` tenants cannot be opened. */
  static async open(
    tenants: readonly string[] = ['shop'],
    {
      broken = [],
      ...options
    }: { readonly broken?: readonly string[] } & Partial<
      Pick<
        ControlPlaneOptions,
        'computesMax' | 'wake' | 'clock' | 'quota' | 'expiry' | 'events' | 'onTrouble' | 'access' | 'database'
      >
    > = {},
  ): Promise<ControlFixture> {
    const dataDir = mkdtempSync(join(tmpdir(), 'offshoot-control-'));
    await addTenants(dataDir, [...tenants, ...broken], broken);
    const pageServer = await PageServer.open({
      dataDir,
      now: () => new Date(options.clock?.now() ?? Date.now()),
      settings: {
        store: {
          mapSizeInitialBytes: 16 * 1024 * 1024,
          readersMax: 16,
          pageCacheBytes: 1024 * 1024,
          keyFilterBytes: 1024 * 1024,
        },
        importsMax: 2,
      },
    });
    const driver = new FakeDriver();
    const crashes: string[] = [];
    let fixture: ControlFixture | undefined;
    const begin = (driver: FakeDriver) =>
      new ControlPlane({
        pageServer,
        driver,
        operationsEndedMax: 10,
        computesMax: 100,
        ...options,
        facts: {
          version: '0',
          pid: 1,
          dataDirectory: dataDir,
          startedAt: new Date(0),
          pageService: () => ({ addresses: [], connections: 0, pages_served: 0, bytes_sent: 0 }),
          gateway: () => fixture?.gateway,
        },
        onComputeCrash: (branch) => crashes.push(branch),
      });
    const again = () => begin(new FakeDriver());
    fixture = new ControlFixture(dataDir, pageServer, driver, begin(driver), crashes, again);
    return fixture;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.control.close();
    await this.pageServer.close();
    rmSync(this.dataDir, { recursive: true });
  }
}

async function addTenants(
  dataDir: string,
  names: readonly string[],
  broken: readonly string[],
): Promise<void> {
  mkdirSync(join(dataDir, 'tenants'));
  const catalog = Catalog.open(join(dataDir, 'catalog'));
  for (const name of names) {
    const { id } = await catalog.reserveTenant({
      id: randomTenantId(),
      name: parseTenantName(name),
      source: { url: 'postgres://db', systemIdentifier: '7' },
      pgMajor: 15,
      pgVersionNum: 150018,
      walSegmentBytes: 16 * 1024 * 1024,
      blockBytes: 8192,
      dataChecksums: 'off',
      defaultUser: 'postgres',
      defaultDatabase: 'postgres',
      databases: [],
    });
    if (broken.includes(name)) writeFileSync(join(dataDir, 'tenants', id), 'not a directory');
    await catalog.activateTenant(id, {
      readableFrom: IMPORTED,
      lastRecordLsn: IMPORTED,
      tli: 1,
      stats: {
        startLsn: IMPORTED,
        endLsn: IMPORTED,
        archiveBytes: 0,
        pages: 0,
        walRecords: 0,
        durationMs: 0,
        unsupported: [],
      },
    });
  }
  await catalog.close();
}
