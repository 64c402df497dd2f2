import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench, BenchContext, Measurement } from '../bench.js';
import { directoryBytes } from '../fixture/directory-bytes.js';
import { withPassword } from '../fixture/import-tenant.js';
import { processMemory } from '../fixture/process-memory.js';
import { query, row } from '../fixture/query.js';
import { expectEqual, resultHash } from '../fixture/result-hash.js';
import { Stage, tenant } from '../fixture/stage.js';
import { quantile } from '../fixture/statistics.js';
import { timed } from '../fixture/timing.js';
import { transactionDriver } from '../fixture/transactions.js';

const sizes = {
  full: { scale: 10, branches: 1000, atOnce: 8, computesMax: 20 },
  smoke: { scale: 1, branches: 6, atOnce: 3, computesMax: 2 },
};
const lookMs = 100;

/** What each branch is asked on its first connection, and on a later one, after it has slept. */
const write = (n: number) => [
  'create table note (id int primary key, balance int)',
  `insert into note select ${n}, abalance from pgbench_accounts where aid = 4711`,
];
const readBack = 'select id, balance from note';

export const manyBranches: Bench = {
  name: 'many-branches',
  about: 'many more branches than computes: each is connected to, written to and, after it has slept, read',
  async run(context) {
    const { scale, atOnce, computesMax, ...size } = sizes[context.size];
    const branches = Number(process.env.OFFSHOOT_BENCH_BRANCHES ?? size.branches);
    const driver = await transactionDriver(scale);
    const settings = { computeLimits: { computesMax } };
    await using stage = await Stage.open(
      context,
      async (source) => {
        await driver.initialise(source.url(), scale);
        await query(source.url(), 'checkpoint');
      },
      settings,
    );
    const conditions = { branches, computesMax, atOnce, scale };
    const fleet = new Fleet(stage, context, branches, atOnce);
    const watch = new AwakeWatch(stage, computesMax);
    // What the daemon takes once, however many there are, is taken by the first half.
    const half = Math.ceil(branches / 2);
    const first = await fleet.each('written', [0, half], (n) => fleet.write(n));
    const before = await fleet.sizeAtRest();
    const second = await fleet.each('written', [half, branches], (n) => fleet.write(n));
    const running = await fleet.sizeOfRunning();
    const after = await fleet.sizeAtRest();
    const read = await fleet.each('read', [0, branches], (n) => fleet.read(n));
    const awakeMost = await watch.end();
    context.remark(`at most ${awakeMost} computes at a time`);
    const perSleeping = (of: 'memory' | 'disk') => (after[of] - before[of]) / (branches - half);
    return {
      measurements: [
        ...latencies('first', [...first.ms, ...second.ms]),
        ...latencies('again', read.ms),
        measurement('per-branch', 'ms', (first.wholeMs + second.wholeMs + read.wholeMs) / branches),
        measurement('disk-asleep', 'bytes', perSleeping('disk')),
        measurement('disk-running', 'bytes', running.disk),
        ...(running.memory === undefined
          ? []
          : [
              measurement('memory-asleep', 'bytes', perSleeping('memory')),
              measurement('memory-running', 'bytes', running.memory),
            ]),
      ].map((each) => ({ ...each, ...conditions })),
      resultHash: resultHash(fleet.seen),
    };
  },
};

/** The branches of one run. */
class Fleet {
  /** What was read from each. */
  readonly seen: unknown[] = [];
  #balance: unknown;

  constructor(
    private readonly stage: Stage,
    private readonly context: BenchContext,
    private readonly branches: number,
    private readonly atOnce: number,
  ) {}

  /** One after the other in several lanes; throws when one fails. */
  async each(
    what: string,
    [from, to]: readonly [number, number],
    work: (n: number) => Promise<void>,
  ): Promise<{ ms: number[]; wholeMs: number }> {
    const ms: number[] = [];
    let next = from;
    const lane = async () => {
      while (next < to) {
        const n = next++;
        ms.push((await timed(() => work(n))).ms);
        if (ms.length % 100 === 0) this.context.remark(`${from + ms.length} of ${this.branches} ${what}`);
      }
    };
    const whole = await timed(() => Promise.all(Array.from({ length: this.atOnce }, lane)));
    return { ms, wholeMs: whole.ms };
  }

  async write(n: number): Promise<void> {
    await this.stage.client.createBranch({ name: nameOf(n), from: tenant });
    await query(await this.#url(n), ...write(n));
  }

  async read(n: number): Promise<void> {
    this.#balance ??= await row(
      this.stage.source.url(),
      'select abalance from pgbench_accounts where aid = 4711',
    );
    const { id, balance } = await row(await this.#url(n), readBack);
    expectEqual('what was written', {
      written: { id: n, balance: (this.#balance as { abalance: number }).abalance },
      read: { id, balance },
    });
    this.seen[n] = { id, balance };
  }

  /** Of the daemon and its directory, while no compute is awake. */
  async sizeAtRest(): Promise<{ memory: number; disk: number }> {
    const { client, daemon } = this.stage;
    for (const { branch, state } of await client.computes()) {
      if (state === 'running') await client.stopCompute(branch);
    }
    const memory = processMemory(daemon.child.pid ?? 0)?.own ?? 0;
    return { memory, disk: (await directoryBytes(daemon.dataDirectory)).disk };
  }

  /** Of each compute that is awake, on average; memory is unknown where there is no /proc. */
  async sizeOfRunning(): Promise<{ memory: number | undefined; disk: number }> {
    const { client, daemon } = this.stage;
    const running = (await client.computes()).filter(({ state }) => state === 'running');
    const disks = await Promise.all(
      running.map(({ log_file: log = '' }) => directoryBytes(log.slice(0, log.lastIndexOf('/log/')))),
    );
    const seen = processMemory(daemon.child.pid ?? 0);
    return {
      memory: seen === undefined ? undefined : seen.descendants / seen.postmasters,
      disk: disks.reduce((sum, { disk }) => sum + disk, 0) / disks.length,
    };
  }

  async #url(n: number): Promise<string> {
    const { client, source } = this.stage;
    return withPassword(await client.connectionString(nameOf(n), { via: 'gateway' }), source.password).url;
  }
}

/** Looks again and again how many computes there are, as the kernel sees it and as the daemon does. */
class AwakeWatch {
  #most = 0;
  #failure: Error | undefined;
  #ended = false;
  readonly #run: Promise<void>;

  constructor(
    private readonly stage: Stage,
    private readonly computesMax: number,
  ) {
    this.#run = this.#look().catch((error: Error) => {
      this.#failure = error;
    });
  }

  /** Throws when there were ever too many. */
  async end(): Promise<number> {
    this.#ended = true;
    await this.#run;
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#most > this.computesMax) {
      throw new Error(`${this.#most} computes were there at a time, and ${this.computesMax} may be`);
    }
    return this.#most;
  }

  async #look(): Promise<void> {
    const { client, daemon } = this.stage;
    while (!this.#ended) {
      const { computes_running: told } = await client.status();
      this.#most = Math.max(this.#most, told, processMemory(daemon.child.pid ?? 0)?.postmasters ?? 0);
      await sleep(lookMs);
    }
  }
}

function nameOf(n: number): string {
  return `many-${n}`;
}

function measurement(what: string, unit: Measurement['unit'], value: number): Measurement {
  return { name: `many-branches/${what}`, unit, value };
}

function latencies(what: string, samples: readonly number[]): Measurement[] {
  return [0.5, 0.95, 1].map((q) => ({ ...measurement(what, 'ms', quantile(samples, q)), quantile: q }));
}
