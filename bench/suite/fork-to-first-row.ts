import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench, BenchContext, Measurement } from '../bench.js';
import { discard, withPassword } from '../fixture/import-tenant.js';
import { fillOrders } from '../fixture/order-table.js';
import { query, type Row, row } from '../fixture/query.js';
import { expectEqual, resultHash } from '../fixture/result-hash.js';
import { Stage, tenant } from '../fixture/stage.js';
import { quantile } from '../fixture/statistics.js';
import { Rounds, timed } from '../fixture/timing.js';

/** Databases of one production, by size. The larger, the longer a copy takes. */
const sizes = {
  full: [
    { megabytes: 10, rounds: 25 },
    { megabytes: 100, rounds: 15 },
    { megabytes: 1000, rounds: 5 },
  ],
  smoke: [{ megabytes: 1, rounds: 1 }],
};
type Size = (typeof sizes)['full'][number];
/** Between a copy's end and the next side's start: writes that the copy left behind go out. */
const settleMs = { full: 200, smoke: 0 };

/** By the primary key: the first row that somebody wants, with all that a new session reads before. */
const firstRow = 'select id, customer, state, note, token from orders where id = 4711';

const sides = ['branch', 'cold connect', 'template wal_log', 'template file_copy'] as const;
type Side = (typeof sides)[number];

export const forkToFirstRow: Bench = {
  name: 'fork-to-first-row',
  about: 'new branch to first row, cold connect; against CREATE DATABASE … TEMPLATE on production, by size',
  async run(context) {
    const chosen = sizes[context.size];
    await using stage = await Stage.open(context, async (source) => {
      for (const size of chosen) {
        await query(source.url(), `create database ${databaseOf(size)}`);
        await fillOrders(source.url(databaseOf(size)), size.megabytes);
      }
    });
    const measurements: Measurement[] = [];
    const rows: Row[] = [];
    for (const size of chosen) {
      const seen = await measure(stage, context, size);
      measurements.push(...seen.measurements);
      rows.push(seen.expected);
    }
    return { measurements, resultHash: resultHash(rows) };
  },
};

function databaseOf({ megabytes }: Size): string {
  return `shop_${megabytes}`;
}

interface Sample {
  readonly ms: number;
  readonly answer: Row;
}

async function measure(stage: Stage, { size: kind, remark }: BenchContext, size: Size) {
  const database = databaseOf(size);
  const phases: Record<string, number>[] = [];
  const expected = await row(stage.source.url(database), firstRow);
  const sleeper = await Sleeper.create(stage, database);
  const run: Record<Side, () => Promise<Sample>> = {
    branch: () => onBranch(stage, database, phases),
    'cold connect': () => sleeper.wake(),
    'template wal_log': () => onCopy(stage, database, 'wal_log'),
    'template file_copy': () => onCopy(stage, database, 'file_copy'),
  };
  const sample = (side: Side) => async () => {
    const { ms, answer } = await run[side]();
    expectEqual('the first row', { production: expected, [side]: answer });
    await sleep(settleMs[kind]);
    return ms;
  };
  // Also warms up.
  for (const side of sides) await sample(side)();
  phases.length = 0;
  remark(`${size.megabytes} MB: all sides answer the same row; measuring`);
  const seen = await new Rounds<Side>().run(size.rounds, {
    branch: sample('branch'),
    'cold connect': sample('cold connect'),
    'template wal_log': sample('template wal_log'),
    'template file_copy': sample('template file_copy'),
  });
  await sleeper.discard();
  const totals = sides.flatMap((side) =>
    quantiles('fork-to-first-row/total', seen.of(side), { side, ...size }),
  );
  return { measurements: [...totals, ...phaseMeasurements(phases, size)], expected };
}

let made = 0;

/** As a tool would: created by the API, then connected to by the gateway. What each phase took goes to `phases`. */
async function onBranch(stage: Stage, database: string, phases: Record<string, number>[]): Promise<Sample> {
  const { client } = stage;
  const name = `fork-${++made}`;
  const branch = { ms: 0 };
  const first = { ms: 0 };
  const whole = await timed(async () => {
    branch.ms = (await timed(() => client.createBranch({ name, from: tenant }))).ms;
    const url = await gatewayUrl(stage, name, database);
    const answered = await timed(() => row(url, firstRow));
    first.ms = answered.ms;
    return answered.answer;
  });
  const { activity } = await client.branch(name);
  const { total = 0, ...waking } = activity.last_wake?.phases_ms ?? {};
  phases.push({
    'create branch': branch.ms,
    ...Object.fromEntries(Object.entries(waking).map(([phase, ms]) => [`wake: ${phase}`, ms])),
    'connect and first row, without the wake': first.ms - total,
  });
  await discard(client, name);
  return whole;
}

/** A branch that is there and has no compute. */
class Sleeper {
  private constructor(
    private readonly stage: Stage,
    private readonly name: string,
    private readonly url: string,
  ) {}

  static async create(stage: Stage, database: string): Promise<Sleeper> {
    const name = `sleeper-${++made}`;
    await stage.client.createBranch({ name, from: tenant });
    return new Sleeper(stage, name, await gatewayUrl(stage, name, database));
  }

  /** From connecting to the row; afterwards it sleeps again. */
  async wake(): Promise<Sample> {
    const sample = await timed(() => row(this.url, firstRow));
    await this.stage.client.stopCompute(this.name);
    return sample;
  }

  async discard(): Promise<void> {
    await discard(this.stage.client, this.name);
  }
}

async function gatewayUrl({ client, source }: Stage, name: string, database: string): Promise<string> {
  const connection = await client.connectionString(name, { database, via: 'gateway' });
  return withPassword(connection, source.password).url;
}

/** On production, from connecting to create the copy to the row. */
async function onCopy({ source }: Stage, database: string, strategy: 'wal_log' | 'file_copy') {
  const name = `copy_${++made}`;
  const whole = await timed(async () => {
    await query(source.url(), `create database ${name} template ${database} strategy ${strategy}`);
    return row(source.url(name), firstRow);
  });
  await query(source.url(), `drop database ${name}`);
  return whole;
}

function phaseMeasurements(phases: readonly Record<string, number>[], size: Size): Measurement[] {
  return Object.keys(phases[0] ?? {}).flatMap((phase) =>
    quantiles(
      'fork-to-first-row/phase',
      phases.map((seen) => seen[phase] ?? Number.NaN),
      { phase, ...size },
    ),
  );
}

function quantiles(
  name: string,
  samples: readonly number[],
  conditions: Record<string, string | number>,
): Measurement[] {
  return [0.5, 0.95].map((q) => ({
    name,
    unit: 'ms',
    value: quantile(samples, q),
    quantile: q,
    ...conditions,
  }));
}
